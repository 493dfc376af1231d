"""Sockets, processes, files and networks of this host, by the kernel; Linux unless noted."""
