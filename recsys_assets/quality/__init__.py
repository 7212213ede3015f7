"""What data is audited with: contracts, expectations, drift, write-audit-publish."""
