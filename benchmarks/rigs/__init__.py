"""What benchmarks measure: servers, publishers, readers, engines and a node, on either bus."""
