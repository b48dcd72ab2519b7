"""The settings of a connector, and what a run is asked to do."""
