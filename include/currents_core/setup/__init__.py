"""What a connector is told, and what a run is asked to do."""
