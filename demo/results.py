"""What Bakame's own tools found, as Markdown lines for a person; other tools' results are shown as they come."""


def lines_of(tool, result):
    """Lines of a list, or None when the result has not the shape that this tool's results have."""
    writer = WRITERS.get(tool)
    if writer is None or not isinstance(result, dict):
        return None
    try:
        lines = writer(result)
    except (KeyError, TypeError, AttributeError):
        return None
    if result.get("stale"):
        lines.append(f"- *This is {result.get('age_seconds', 0) // 60} minutes old: the provider does not answer.*")
    if result.get("source"):
        lines.append(f"- *{result['source']}*")
    return lines


def weather(result):
    unit = result["units"]
    now = result["current"]
    lines = [f"- **{result['location']}**, {now['time']} ({result['timezone']}): {now['temperature']} {unit['temperature']}, "
             f"{now.get('conditions', '')}, {now['wind_speed']} {unit['wind_speed']}"]
    for day in result["days"]:
        lines.append(f"- {day['date']}: {day['temperature_min']} to {day['temperature_max']} {unit['temperature']}, "
                     f"{day.get('conditions', '')}, {day['precipitation']} {unit['precipitation']}, "
                     f"{day['precipitation_chance_percent']} %")
    return lines


def currency(result):
    return [f"- **{result['amount']} {result['from']} = {result['result']} {result['to']}**",
            f"- 1 {result['from']} = {result['rate']} {result['to']}" + (f", {result['rate_date']}" if result.get("rate_date") else "")]


def links(rows, text):
    return [f"- [{row['title']}]({row['url']})" + (f": {row[text]}" if row.get(text) else "") for row in rows if row.get("url")]


def news(result):
    return links(result["articles"][:6], "source") or ["- (0)"]


def web_search(result):
    return links(result["results"][:6], "snippet") or ["- (0)"]


def places(result):
    lines = []
    for place in result["places"][:6]:
        details = [place.get("address"), place.get("opening_hours"), place.get("phone"),
                   f"{place['distance_m']} m" if "distance_m" in place else None]
        lines.append(f"- **{place['name']}** " + ", ".join(filter(None, details)))
    return lines or ["- (0)"]


WRITERS = {"weather": weather, "currency": currency, "news": news, "web_search": web_search, "places": places}
