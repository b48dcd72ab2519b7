"""What people are shown of a connector: hours at a glance, trends, money, letters, gaps. Pure: it reads nothing."""
