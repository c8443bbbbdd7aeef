"""What the demo model understands, and what it answers."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import brain  # noqa: E402
import words  # noqa: E402


def tool(name, required=(), **properties):
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


TEXT, NUMBER = {"type": "string"}, {"type": "number"}
TOOLS = [
    tool("weather", location=TEXT),
    tool("currency", amount=NUMBER, **{"from": TEXT, "to": TEXT}),
    tool("news", query=TEXT),
    tool("web_search", query=TEXT),
    tool("places", query=TEXT, location=TEXT),
]


def ask(question, tools=None, **more):
    return brain.reply_to({"messages": [{"role": "user", "content": question}], "tools": TOOLS if tools is None else tools, **more})


@pytest.mark.parametrize("question, location", [
    ("Will it rain in Kigali tomorrow?", "Kigali"),
    ("What's the weather like in New York?", "New York"),
    ("weather in addis ababa tomorrow", "Addis Ababa"),
    ("Weather Tomorrow?", "Kigali"),
    ("Quel temps fait-il à Paris ?", "Paris"),
    ("Est-ce qu'il va pleuvoir à Kigali demain ?", "Kigali"),
    ("Imvura iragwa i Huye ejo?", "Huye"),
    ("Ikirere kimeze gite mu Rwanda?", "Rwanda"),
    ("Hali ya hewa ikoje katika Nairobi leo?", "Nairobi"),
    ("Je, mvua itanyesha Mombasa? Nipo katika Mombasa", "Mombasa"),
])
def test_weather(question, location):
    assert ask(question).tool_calls == [("weather", {"location": location})]


@pytest.mark.parametrize("question, amount, source, target", [
    ("Convert 100 USD to RWF", 100, "USD", "RWF"),
    ("How much is 1,250.50 dollars in euros?", 1250.5, "USD", "EUR"),
    ("€2,50 in pounds", 2.5, "EUR", "GBP"),
    ("What is the exchange rate of the euro?", 1, "EUR", "RWF"),
    ("Combien font 20 euros en francs rwandais ?", 20, "EUR", "RWF"),
    ("Amadolari 50 ni amafaranga angahe?", 50, "USD", "RWF"),
    ("Dola 100 ni shilingi ngapi?", 100, "USD", "KES"),
    ("10 ugandan shillings in kenyan shillings", 10, "UGX", "KES"),
    ("Convert 0 USD to RWF", 0, "USD", "RWF"),
])
def test_currency(question, amount, source, target):
    assert ask(question).tool_calls == [("currency", {"amount": amount, "from": source, "to": target})]


@pytest.mark.parametrize("question, query", [
    ("What is the news about coffee prices?", "coffee prices"),
    ("Quelles sont les actualités au Rwanda ?", "Rwanda"),
    ("Amakuru mashya y'ubukungu", "y'ubukungu"),
    ("Habari mpya za michezo", "za michezo"),
])
def test_news(question, query):
    assert ask(question).tool_calls == [("news", {"query": query})]


@pytest.mark.parametrize("question, query", [
    ("Search the web for FastCGI in C", "FastCGI in C"),
    ("Cherche sur le lac Kivu", "le lac Kivu"),
    ("Shakisha ingagi", "ingagi"),
    ("Tafuta historia ya Zanzibar", "historia ya Zanzibar"),
])
def test_web_search(question, query):
    assert ask(question).tool_calls == [("web_search", {"query": query})]


@pytest.mark.parametrize("question, location", [
    ("Restaurants near Musanze?", "Musanze"),
    ("Où trouver une pharmacie près de Gisenyi ?", "Gisenyi"),
    ("Resitora nziza hafi ya Nyamirambo", "Nyamirambo"),
    ("Hospitali karibu na Arusha", "Arusha"),
])
def test_places(question, location):
    (name, arguments), = ask(question).tool_calls
    assert (name, arguments["location"]) == ("places", location)


@pytest.mark.parametrize("greeting, answer", [
    ("Hello!", "Hello!"), ("Bonjour", "Bonjour"), ("Amakuru?", "Muraho!"), ("Habari yako", "Habari!"),
])
def test_greetings_are_not_questions_for_the_news(greeting, answer):
    reply = ask(greeting)
    assert reply.tool_calls == []
    assert answer in reply.text


def test_two_subjects_are_two_calls():
    names = [name for name, _ in ask("Weather in Kigali, and 5 USD in RWF?").tool_calls]
    assert names == ["weather", "currency"]


def test_calls_nothing_that_was_not_offered():
    assert ask("Will it rain in Kigali?", tools=[]).tool_calls == []
    assert ask("Will it rain in Kigali?", tools=[tool("currency")]).tool_calls == []
    assert ask("Will it rain in Kigali?", tool_choice="none").tool_calls == []


def test_arguments_are_named_as_the_schema_names_them():
    renamed = tool("convert_currency", value=NUMBER, base=TEXT, target=TEXT)
    assert ask("3 EUR to USD", tools=[renamed]).tool_calls == [("convert_currency", {"value": 3, "base": "EUR", "target": "USD"})]


def test_required_arguments_are_filled_by_type():
    units = {"type": "string", "enum": ["metric", "imperial"]}
    described = tool("weather", ["location", "units", "days"], location=TEXT, units=units, days={"type": "integer"})
    (_, arguments), = ask("Rain in Huye?", tools=[described]).tool_calls
    assert arguments == {"location": "Huye", "units": "metric", "days": 1}


def test_forced_call():
    lookup = tool("lookup", ["key"], key=TEXT)
    choice = {"type": "function", "function": {"name": "lookup"}}
    assert ask("blue", tools=[*TOOLS, lookup], tool_choice=choice).tool_calls == [("lookup", {"key": "blue"})]
    assert ask("blue", tools=[lookup], tool_choice="required").tool_calls == [("lookup", {"key": "blue"})]


def after_tool(question, *contents):
    calls = [{"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": "{}"}} for i, (name, _) in enumerate(contents)]
    results = [{"role": "tool", "tool_call_id": f"c{i}", "content": content} for i, (_, content) in enumerate(contents)]
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    return brain.reply_to({"messages": messages, "tools": TOOLS})


def test_answers_from_results_without_calling_again():
    reply = after_tool("Rain in Huye?", ("weather", '{"location":"Huye","now":{"temperature":21.5,"sky":"light rain"}}'))
    assert reply.tool_calls == []
    assert "- **location**: Huye" in reply.text
    assert "  - **temperature**: 21.5" in reply.text


def test_results_of_bakames_own_tools_are_told_to_people():
    found = {"location": "Kigali, Rwanda", "timezone": "Africa/Kigali", "units": {"temperature": "°C", "wind_speed": "km/h", "precipitation": "mm"},
             "current": {"time": "2026-01-01T09:00", "temperature": 21.3, "conditions": "partly cloudy", "wind_speed": 6.5},
             "days": [{"date": "2026-01-01", "conditions": "slight rain", "temperature_min": 16, "temperature_max": 26,
                       "precipitation": 3.7, "precipitation_chance_percent": 68}], "source": "Open-Meteo"}
    text = after_tool("Weather?", ("weather", json.dumps(found))).text
    assert "- **Kigali, Rwanda**, 2026-01-01T09:00 (Africa/Kigali): 21.3 °C, partly cloudy, 6.5 km/h" in text
    assert "- 2026-01-01: 16 to 26 °C, slight rain, 3.7 mm, 68 %" in text and "*Open-Meteo*" in text
    found = {"amount": 100, "from": "USD", "to": "RWF", "result": 145025, "rate": 1450.25, "source": "Frankfurter", "stale": True, "age_seconds": 660}
    text = after_tool("100 USD?", ("currency", json.dumps(found))).text
    assert "- **100 USD = 145025 RWF**" in text and "11 minutes old" in text
    text = after_tool("Cafes?", ("places", '{"places":[{"name":"Café 1","address":"KN 3","distance_m":90}]}')).text
    assert "- **Café 1** KN 3, 90 m" in text


def test_headlines_need_no_topic():
    assert ask("What's in the news?").tool_calls == [("news", {})]


def test_lists_become_links():
    reply = after_tool("news?", ("news", '{"articles":[{"title":"Coffee up","url":"https://example.org/1"}]}'))
    assert "- [Coffee up](https://example.org/1)" in reply.text


@pytest.mark.parametrize("content, reason", [
    ('{"error":"timed out"}', "timed out"), ('{"error":{"message":"no key"}}', "no key"), ("Error: 502", "Error: 502"), ("", "no result"),
    ('{"status":"failed"}', "no reason given"),
])
def test_says_which_tool_failed_and_answers_from_the_other(content, reason):
    reply = after_tool("Rain and news?", ("weather", content), ("news", '{"title":"Coffee up"}'))
    assert f"The weather tool failed ({reason})" in reply.text
    assert "Coffee up" in reply.text


def test_results_are_bounded():
    huge = after_tool("news?", ("news", json.dumps({f"k{i}": "x" * 5000 for i in range(500)})))
    assert len(huge.text) < 5000
    deep = after_tool("news?", ("news", "[" * 100_000))
    assert len(deep.text) < 2000


@pytest.mark.parametrize("question, language", [
    ("What is this?", "en"), ("Quelle est la capitale du Rwanda ?", "fr"), ("Ese ejo imvura iragwa?", "rw"),
    ("Je, kesho mvua itanyesha?", "sw"), ("1 + 1", "en"),
])
def test_language(question, language):
    assert words.language_of(question) == language


@pytest.mark.parametrize("language", ["en", "fr", "rw", "sw"])
def test_the_notice_in_every_language_names_the_two_settings(language):
    assert "OPENAI_API_KEY" in brain.NOTICE[language] and "OPENAI_BASE_URL" in brain.NOTICE[language]


@pytest.mark.parametrize("question, mark", [
    ("Write some code", "```python"), ("Make a table", "|---|"), ("a list please", "1. **"), ("Fais un tableau", "|---|"),
])
def test_markdown_when_asked_for(question, mark):
    assert mark in ask(question).text


def test_content_parts_are_read():
    parts = [{"type": "text", "text": "Rain in Huye?"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    reply = brain.reply_to({"messages": [{"role": "user", "content": parts}], "tools": TOOLS})
    assert reply.tool_calls == [("weather", {"location": "Huye"})]
