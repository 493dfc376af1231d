"""What the kernel says of this machine: sockets, processes, their files and networks. Linux, where not said else."""
