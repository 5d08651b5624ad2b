"""Sign-in: names, passwords, what is tried too often, and accounts of the Hub."""
