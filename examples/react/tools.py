"""What the concierge can look up: the weather of a few cities, from a table, and degrees in the other scale.

Each function runs in a process of its own. What it returns is held against the type that the tool declares.
"""

WEATHER = {
    "Lisbon": (24.0, "clear"),
    "London": (14.5, "rain"),
    "Nairobi": (22.5, "partly cloudy"),
    "Oslo": (6.0, "snow"),
    "Singapore": (31.0, "thunderstorms"),
}


def weather(city: str) -> dict[str, object]:
    """The weather of a city. A city that is not in the table is a failure that the program can catch."""
    for name, (celsius, sky) in WEATHER.items():
        if name.lower() == city.strip().lower():
            return {"city": name, "celsius": celsius, "sky": sky}
    raise LookupError(f"no weather for {city!r}; there is some for {', '.join(WEATHER)}")


def fahrenheit(celsius: float) -> float:
    """Degrees Fahrenheit."""
    return celsius * 9 / 5 + 32
