"""What others keep becomes the registry's: snapshots, trees, MirrorManager's database."""
