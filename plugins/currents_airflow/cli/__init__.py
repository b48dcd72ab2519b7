"""The commands `airflow currents …`; without the wheel, `python -m currents_airflow …` has the same ones."""
