"""Answer a challenge on the wire, while another server holds the port: Linux, nftables, docs/wire.rst."""
