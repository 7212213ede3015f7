"""Audits of data: contracts, expectations, write-audit-publish, quarantine and the ledger of results."""
