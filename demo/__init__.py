"""The whole loop on one machine: a master, five mirrors, and everything that keeps them in the lists or out of them."""
