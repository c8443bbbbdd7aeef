"""What people say, in four languages: the tables by which the demo model understands a question.

Plain patterns, no grammar: enough to show the product at work in English, French, Kinyarwanda and
Swahili.  Which tool a question is for is decided in brain.py; this file only knows the words.
"""

import re
import unicodedata


def fold(text):
    """Lower case without accents, character by character: "Météo à Kigali" -> "meteo a kigali"."""
    decomposed = unicodedata.normalize("NFD", text.replace("’", "'"))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower()


def any_of(*alternatives):
    return re.compile(r"\b(?:" + "|".join(alternatives) + r")\b")


# Each of these is matched against folded text.
WEATHER = any_of(
    "weather", "rain(?:s|y|ing)?", "forecast", "temperatures?", "sunny", "umbrella",
    "meteo", "pleut", "pleuvoir", "pluie", "quel temps",
    "ikirere", "imvura", "iteganyagihe", "ubushyuhe",
    "hali ya hewa", "mvua", "utabiri",
)
EXCHANGE = any_of(
    "exchange rates?", "convert", "currency", "taux", "convertir", "convertis", "devise",
    "ivunjisha", "vunja", "kuvunja", "badilisha", "kubadilisha fedha",
)
# "Amakuru?" and "Habari?" alone are greetings; with what follows they ask for the news.
NEWS = any_of(
    "news", "headlines?", "actualites?", "actu", "nouvelles du", "dernieres nouvelles", "infos",
    "amakuru (?:mashya|agezweho|y'|ya|yo|ku|mu)", "inkuru",
    "habari (?:mpya|kuhusu|za (?:dunia|leo|rwanda|kenya|tanzania|uganda))", "taarifa",
)
SEARCH = any_of(
    "search(?: the web)?(?: for)?", "look up", "google", "find out about", "(?:re)?cherche[rsz]?(?: sur)?",
    "shakisha", "shaka kuri", "tafuta",
)
PLACES = any_of(
    "near(?:by|est)?", "close to", "restaurants?", "hotels?", "hospitals?", "pharmac(?:y|ies)", "atms?", "cafes?",
    "pres de", "autour de", "hopita(?:l|ux)", "pharmacies?",
    "hafi (?:ya|y')", "resitora", "hoteli", "ibitaro", "farumasi",
    "karibu na", "mkahawa", "mikahawa", "hospitali", "duka la dawa",
)
GREETING = re.compile(
    r"^\W*(?:hello|hi|hey|good (?:morning|afternoon|evening)|bonjour|bonsoir|salut"
    r"|muraho|mwaramutse|mwiriwe|amakuru|bite|habari(?: yako| gani)?|jambo|mambo|shikamoo)\W*(?:bakame\W*)?$"
)
CODE = any_of("code", "program(?:me)?", "function", "script", "fonction", "porogaramu", "msimbo", "python", "javascript")
TABLE = any_of("table", "tableau", "imbonerahamwe", "jedwali")
LIST = any_of("list", "bullets?", "steps", "liste", "etapes", "urutonde", "orodha", "hatua")

# The first language with the most words in the text wins; English when none has any.
LANGUAGE_WORDS = {
    "fr": any_of("le", "la", "les", "des", "est", "quel(?:le)?s?", "bonjour", "bonsoir", "salut", "combien", "pour", "fait",
                 "une?", "je", "demain", "pleuvoir", "cherche", "donne", "moi", "tableau", "meteo", "actualites?", "pres"),
    "rw": any_of("muraho", "mwaramutse", "mwiriwe", "amakuru", "ni", "iki", "mu", "ese", "ejo", "imvura", "ikirere", "iragwa",
                 "hafi", "amafaranga", "amadolari", "kuri", "shakisha", "resitora", "ibitaro", "iteganyagihe", "kangahe"),
    "sw": any_of("habari", "jambo", "mambo", "shikamoo", "ya", "wa", "na", "katika", "mvua", "hewa", "kesho", "leo", "tafuta",
                 "dola", "shilingi", "karibu", "hali", "je", "ngapi", "mkahawa", "hospitali", "kwa"),
}

CURRENCY_NAMES = [
    (any_of("us dollars?", "dollars?", "amadolari", "idolari", "dola"), "USD"),
    (any_of("euros?", "amayero", "yuro"), "EUR"),
    (any_of("rwandan francs?", "francs? rwandais", "francs?", "amafaranga", "frw", "faranga"), "RWF"),
    (any_of("pounds?", "livres? sterling", "amapawundi", "pauni"), "GBP"),
    (any_of("ugandan shillings?"), "UGX"),
    (any_of("tanzanian shillings?"), "TZS"),
    (any_of("(?:kenyan )?shillings?", "shilingi", "amashilingi"), "KES"),
    (any_of("yen"), "JPY"),
    (any_of("yuan"), "CNY"),
    (any_of("rupees?", "roupies?"), "INR"),
]
CURRENCY_CODES = any_of(
    "usd", "eur", "rwf", "gbp", "kes", "ugx", "tzs", "bif", "cdf", "zar", "ngn", "ghs", "etb", "jpy", "cny", "inr", "chf",
    "cad", "aud",
)
CURRENCY_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP"}

AMOUNT = re.compile(r"\d+(?:[,\s]\d{3})*(?:[.,]\d+)?")

# A place comes after one of these and is written with a capital: "in New York", "à Kigali", "i Huye".
PLACE_AFTER = re.compile(
    r"\b(?i:in|at|for|near|around|à|au|aux|en|de|pour|i|mu|muri|ku|ya|y'|katika|huko|mjini|na|kwa)\s?"
    r"((?:[A-ZÀ-Ý][\w'’-]+)(?:\s+[A-ZÀ-Ý][\w'’-]+){0,2})"
)
# The same in careless lower case, up to a word of time or the end: "weather in kigali tomorrow".
PLACE_AFTER_LOWER = re.compile(
    r"\b(?:in|at|near|a|katika|huko|mjini|mu|i)\s+([a-z][a-z'-]+(?:\s+[a-z][a-z'-]+)??)"
    r"(?=\s*(?:[?.!,]|$|\b(?:today|tomorrow|now|this|next|demain|maintenant|ce|ejo|none|uyu|leo|kesho|sasa)\b))"
)
# Capitalised, yet no place.
NOT_A_PLACE = any_of("today", "tomorrow", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
                     "usd", "eur", "rwf", "gbp", "kes", "the", "what", "will")


def language_of(text):
    folded = fold(text)
    counts = {language: len(words.findall(folded)) for language, words in LANGUAGE_WORDS.items()}
    best = max(counts, key=counts.get)
    return best if counts[best] > 0 else "en"


def place_in(text):
    """The place that a question names, or None."""
    for match in PLACE_AFTER.finditer(text):
        if not NOT_A_PLACE.search(fold(match.group(1))):
            return match.group(1)
    match = PLACE_AFTER_LOWER.search(fold(text))
    if match and not NOT_A_PLACE.search(match.group(1)):
        return match.group(1).title()
    return None


# Kinds of places as the places tool knows them, by the words of each language.
KINDS_OF_PLACES = [
    (any_of("restaurants?", "resitora", "mkahawa", "mikahawa"), "restaurant"),
    (any_of("hotels?", "hoteli"), "hotel"),
    (any_of("hospitals?", "hopita(?:l|ux)", "ibitaro", "hospitali"), "hospital"),
    (any_of("pharmac(?:y|ies|ies?)", "pharmacies?", "farumasi", "duka la dawa"), "pharmacy"),
    (any_of("cafes?"), "cafe"),
    (any_of("atms?"), "atm"),
]


def kind_of_place_in(text):
    folded = fold(text)
    return next((kind for pattern, kind in KINDS_OF_PLACES if pattern.search(folded)), None)


def amount_in(text):
    """The first number of a question; None without one.  Both 1,000.50 and 2,5 are read."""
    match = AMOUNT.search(text)
    if not match:
        return None
    digits = re.sub(r"[,\s](?=\d{3}(?:\D|$))", "", match.group())
    value = float(digits.replace(",", "."))
    return int(value) if value.is_integer() else value


def currencies_in(text):
    """ISO codes of the currencies that a question names, in the order of the text, each once."""
    folded = fold(text)
    found = [(match.start(), match.group().upper()) for match in CURRENCY_CODES.finditer(folded)]
    found += [(folded.index(sign), code) for sign, code in CURRENCY_SIGNS.items() if sign in folded]
    taken = []
    for names, code in CURRENCY_NAMES:  # longer names come first: "ugandan shillings" is not also "shillings"
        for match in names.finditer(folded):
            if not any(start <= match.start() < end for start, end in taken):
                taken.append(match.span())
                found.append((match.start(), code))
    return list(dict.fromkeys(code for _, code in sorted(found)))
