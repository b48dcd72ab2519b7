"""What setting up a destination goes by: the life of a partner event source, names, and what people are shown."""
