"""Real servers for the tests: each module starts one program from Debian's packages and stops it again."""
