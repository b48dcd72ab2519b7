"""Which files a run has to deliver, and which task delivers them."""
