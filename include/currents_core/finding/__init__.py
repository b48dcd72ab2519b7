"""Which files a run must deliver, and which task delivers them."""
