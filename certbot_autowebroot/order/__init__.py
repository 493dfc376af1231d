"""One ACME order: locate, prove, publish and withdraw the answers to its http-01 challenges."""
