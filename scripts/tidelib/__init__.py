"""What the quickstart, the interop tests and the benchmark share: clusters of real daemons, and a load that remembers."""
