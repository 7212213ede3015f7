"""Places where work runs: this process, processes of this machine, or a Ray cluster, behind one interface."""
