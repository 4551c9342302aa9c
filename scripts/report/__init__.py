"""The report of a build as one page: from its files to a record, and from that to HTML."""
