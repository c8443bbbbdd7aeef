"""What the demo model says: pure functions from a chat request to a reply, no network, no clock.

The reply is either text or calls of tools that the request offered.  It follows from the messages
alone, so the same conversation always gets the same answer.
"""

import json
import re
from dataclasses import dataclass, field

import results
import words

MODEL = "bakame-demo"

NOTICE = {
    "en": "I am Bakame's demo model: a small program that answers offline, not a real AI. To plug in a real model, start "
          "Bakame with `OPENAI_API_KEY`, or with `OPENAI_BASE_URL` for Ollama, vLLM, llama.cpp or any other "
          "OpenAI-compatible server.\n\n",
    "fr": "Je suis le modèle de démonstration de Bakame : un petit programme qui répond hors ligne, pas une vraie IA. Pour "
          "brancher un vrai modèle, lancez Bakame avec `OPENAI_API_KEY`, ou avec `OPENAI_BASE_URL` pour Ollama, vLLM, "
          "llama.cpp ou tout autre serveur compatible avec OpenAI.\n\n",
    "rw": "Ndi modeli y'igerageza (demo) ya Bakame: nsubiza ntakoresheje interineti, sindi AI nyayo. Kugira ngo ukoreshe "
          "modeli nyayo, tangiza Bakame ufite `OPENAI_API_KEY`, cyangwa `OPENAI_BASE_URL` (Ollama, vLLM, llama.cpp).\n\n",
    "sw": "Mimi ni modeli ya majaribio (demo) ya Bakame: najibu bila mtandao, mimi si AI halisi. Kutumia modeli halisi, "
          "anzisha Bakame ukiwa na `OPENAI_API_KEY`, au `OPENAI_BASE_URL` (Ollama, vLLM, llama.cpp).\n\n",
}
GREETING = {
    "en": "Hello! Ask me about the weather, a currency, the news or a place, or ask for a list, a table or some code.",
    "fr": "Bonjour ! Demandez-moi la météo, une conversion de devises, les actualités ou un lieu, ou bien une liste, un "
          "tableau ou du code.",
    "rw": "Muraho! Mbaza ikirere, ivunjisha, amakuru mashya cyangwa ahantu; cyangwa urutonde, imbonerahamwe cyangwa porogaramu.",
    "sw": "Habari! Niulize kuhusu hali ya hewa, fedha za kigeni, habari mpya au mahali; au omba orodha, jedwali au msimbo.",
}
NO_ANSWER = {
    "en": "You asked: “{question}”. A demo cannot know the answer to that, but it came to you word by word through NGINX and a "
          "Bakame worker, just as a real model's would.",
    "fr": "Vous avez demandé : « {question} ». Une démonstration ne connaît pas la réponse, mais ce texte vous est parvenu mot à "
          "mot par NGINX et un processus Bakame, comme celui d'un vrai modèle.",
    "rw": "Wabajije: “{question}”. Demo ntishobora kumenya igisubizo, ariko aya magambo yakugezeho rimwe rimwe anyuze muri NGINX "
          "na Bakame, nk'uko iy'ukuri yabigenza.",
    "sw": "Uliuliza: “{question}”. Demo haiwezi kujua jibu, lakini maneno haya yamekufikia moja moja kupitia NGINX na Bakame, "
          "kama ya modeli halisi.",
}
RESULT_INTRO = {"en": "The {tool} tool says:", "fr": "L'outil {tool} répond :",
                "rw": "Igikoresho {tool} kiravuga:", "sw": "Zana ya {tool} inasema:"}
RESULT_FAILED = {"en": "The {tool} tool failed ({reason}), so I cannot tell you that now.",
                 "fr": "L'outil {tool} a échoué ({reason}) : je ne peux donc pas vous le dire maintenant.",
                 "rw": "Igikoresho {tool} cyanze ({reason}), nta gisubizo mfite ubu.",
                 "sw": "Zana ya {tool} imeshindwa ({reason}), kwa hiyo siwezi kujibu sasa."}

CODE_ANSWER = """Here is a small program:

```python
def greet(name: str) -> str:
    return f"Muraho, {name}!"

print(greet("Bakame"))
```
"""
TABLE_ANSWER = """Here is a table:

| City | Country | Language |
|---|---|---|
| Kigali | Rwanda | Kinyarwanda |
| Nairobi | Kenya | Swahili |
| Paris | France | French |
"""
LIST_ANSWER = """Here is a list:

1. **Ask** a question in the box below.
2. **Read** the answer while it is being written.
3. **Stop** it whenever you have read enough.
"""

QUESTION_QUOTED_MAX = 200       # characters of the question repeated in an answer
RESULT_LINES_MAX = 12           # lines of a tool's result shown
RESULT_VALUE_MAX = 200          # characters of one value
LINE_MAX = 500                  # characters of one line


@dataclass
class Reply:
    text: str = ""
    tool_calls: list = field(default_factory=list)      # [(function name, arguments dict)]


def text_of(message):
    """The text of a message, whether a string or an array of content parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


def reply_to(request):
    messages = request["messages"]
    question = next((text_of(m) for m in reversed(messages) if m.get("role") == "user"), "")
    language = words.language_of(question)
    found = tool_results(messages)
    if found:
        text = "\n\n".join(describe_result(name, content, language) for name, content in found)
    else:
        calls = choose_tools(request, question)
        if calls:
            return Reply(tool_calls=calls)
        text = plain_answer(question, language)
    return Reply(text=(NOTICE[language] if is_first_answer(messages) else "") + text)


def is_first_answer(messages):
    """An assistant's message that only called tools has said nothing yet."""
    return not any(m.get("role") == "assistant" and text_of(m) for m in messages)


def plain_answer(question, language):
    folded = words.fold(question)
    if words.GREETING.search(folded):
        return GREETING[language]
    for asked_for, answer in ((words.CODE, CODE_ANSWER), (words.TABLE, TABLE_ANSWER), (words.LIST, LIST_ANSWER)):
        if asked_for.search(folded):
            return answer
    quoted = " ".join(question.split())
    if len(quoted) > QUESTION_QUOTED_MAX:
        quoted = quoted[:QUESTION_QUOTED_MAX] + "…"
    return NO_ANSWER[language].format(question=quoted)


# --- choosing tools ------------------------------------------------------------------------------


def choose_tools(request, question):
    """The calls that a question asks for, among the functions that the request offers."""
    functions = [t["function"] for t in request.get("tools") or [] if isinstance(t, dict) and "function" in t]
    choice = request.get("tool_choice", "auto")
    if not functions or choice == "none":
        return []
    if isinstance(choice, dict):
        wanted = choice.get("function", {}).get("name")
        return [forced_call(f, question) for f in functions if f.get("name") == wanted]
    calls = []
    for subject, values in subjects_of(question):
        function = next((f for f in functions if subject in str(f.get("name", "")).lower()), None)
        if function:
            calls.append((function["name"], fit_arguments(function, values)))
    if not calls and choice == "required":
        calls.append(forced_call(functions[0], question))
    return calls


def subjects_of(question):
    """[(a word that the name of the right function contains, what the question says about it)]"""
    folded = words.fold(question)
    place = words.place_in(question)
    subjects = []
    if words.WEATHER.search(folded):
        subjects.append(("weather", {"location": place or "Kigali"}))
    codes = words.currencies_in(question)
    if len(codes) >= 2 or (codes and words.EXCHANGE.search(folded)):
        source, target = (codes + ["RWF" if codes[0] != "RWF" else "USD"])[:2]
        amount = words.amount_in(question)
        subjects.append(("currency", {"amount": 1 if amount is None else amount, "from": source, "to": target}))
    if words.NEWS.search(folded):
        topic = place or topic_after(words.NEWS, question, "")
        subjects.append(("news", {"query": topic} if topic else {}))
    if words.PLACES.search(folded):
        subjects.append(("place", {"query": words.kind_of_place_in(question) or question.strip(" ?!."), "location": place or "Kigali"}))
    if not subjects and words.SEARCH.search(folded):
        subjects.append(("search", {"query": topic_after(words.SEARCH, question)}))
    return subjects


def topic_after(pattern, question, fallback=None):
    """What follows the matched word; when nothing does the whole question, unless told otherwise."""
    topic = question[pattern.search(words.fold(question)).end():]
    topic = re.sub(r"^\W*(?:about|for|on|sur|de|kuhusu|ku|kuri)\b", "", topic, flags=re.IGNORECASE).strip(" ?!.,:'")
    return topic or (question.strip(" ?!.") if fallback is None else fallback)


# The names that a tool's author may have given to what we found.
SYNONYMS = {
    "location": ("location", "city", "place", "near", "where", "q"),
    "query": ("query", "q", "topic", "search", "keywords", "text"),
    "amount": ("amount", "value", "quantity"),
    "from": ("from", "base", "from_currency", "source", "source_currency"),
    "to": ("to", "target", "to_currency", "quote", "target_currency"),
}


def fit_arguments(function, values):
    """Name the values as the function's schema does, and fill what else it requires."""
    schema = schema_of(function)
    properties = schema.get("properties") or {}
    arguments = {}
    for meaning, value in values.items():
        name = next((n for n in SYNONYMS[meaning] if n in properties and n not in arguments), None)
        if name:
            arguments[name] = value
        elif not properties:
            arguments[meaning] = value
    return fill_required(schema, arguments, next(iter(values.values()), ""))


def forced_call(function, question):
    """A call that the client insists on."""
    for subject, values in subjects_of(question):
        if subject in str(function.get("name", "")).lower():
            return function["name"], fit_arguments(function, values)
    return function.get("name", ""), fill_required(schema_of(function), {}, words.place_in(question) or question)


def schema_of(function):
    schema = function.get("parameters")
    return schema if isinstance(schema, dict) else {}


def fill_required(schema, arguments, text):
    properties = schema.get("properties") or {}
    for name in schema.get("required") or []:
        if name not in arguments:
            arguments[name] = plausible_value(properties.get(name) or {}, text)
    return arguments


def plausible_value(schema, text):
    if schema.get("enum"):
        return schema["enum"][0]
    by_type = {"number": 1, "integer": 1, "boolean": True, "array": [], "object": {}}
    return by_type.get(schema.get("type"), str(text))


# --- telling what the tools said -----------------------------------------------------------------


def tool_results(messages):
    """[(tool name, content)] of the tool messages at the end of the conversation."""
    names = {}
    for message in messages:
        for call in message.get("tool_calls") or []:
            names[call.get("id")] = call.get("function", {}).get("name")
    results = []
    for message in reversed(messages):
        if message.get("role") != "tool":
            break
        name = names.get(message.get("tool_call_id")) or message.get("name") or "unknown"
        results.insert(0, (name, text_of(message)))
    return results


def describe_result(name, content, language):
    try:
        result = json.loads(content)
    except (ValueError, RecursionError):
        result = content.strip()
    reason = failure_of(result)
    if reason is not None:
        return RESULT_FAILED[language].format(tool=name, reason=reason)
    lines = results.lines_of(name, result) or markdown_lines(result)
    return RESULT_INTRO[language].format(tool=name) + "\n\n" + "\n".join(shorten(line, LINE_MAX) for line in lines[:RESULT_LINES_MAX])


def failure_of(result):
    """Why a tool failed, or None when it did not."""
    if result == "":
        return "no result"
    if isinstance(result, str) and result.lower().startswith("error"):
        return shorten(result)
    if isinstance(result, dict) and result.get("error"):
        error = result["error"]
        return shorten(error.get("message", error) if isinstance(error, dict) else error)
    if isinstance(result, dict) and result.get("status") == "failed":
        return "no reason given"
    return None


def markdown_lines(value, depth=0):
    """A value as a Markdown list, two levels deep; what is deeper is shown as JSON."""
    indent = "  " * depth
    if isinstance(value, dict) and depth < 2:
        lines = []
        for key, inner in value.items():
            label = f"{indent}- **{key.replace('_', ' ')}**:"
            if isinstance(inner, (dict, list)) and inner and depth == 0:
                lines += [label, *markdown_lines(inner, depth + 1)]
            else:
                lines.append(f"{label} {shorten(inner)}")
        return lines
    if isinstance(value, list):
        return [f"{indent}- {one_line(item)}" for item in value]
    return [f"{indent}{shorten(value)}"]


def one_line(item):
    """An item of a list: a link when it has a title and an address."""
    if isinstance(item, dict):
        title, url = item.get("title") or item.get("name"), item.get("url") or item.get("link")
        if title and url:
            return f"[{shorten(title)}]({url})"
        if title:
            return shorten(title)
    return shorten(item)


def shorten(value, most=RESULT_VALUE_MAX):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[:most] + "…"
