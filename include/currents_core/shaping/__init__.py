"""From rows to the JSON of the published Currents envelope."""
