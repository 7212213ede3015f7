"""Files that run the product on several machines, and the code that writes them out for one installation."""
