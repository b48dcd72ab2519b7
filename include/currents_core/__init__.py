"""The core: finds, reads, shapes, sends and accounts for Currents files. It knows neither Airflow nor AWS clients.

The modules beside the rooms are the words that every room speaks.
"""
