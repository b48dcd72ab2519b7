"""The core: finds, reads, shapes, sends and accounts for Currents files. It knows neither Airflow nor AWS clients.

The modules next to the rooms are the words: the vocabulary that all rooms share.
"""
