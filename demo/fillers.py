"""Numbers, dates, times and sums for the `{date}`-like slots of the templates."""

from __future__ import annotations

import random

MONTHS = (
    "January February March April May June July August September October November December "
    "Jan. Feb. Mar. Apr. Aug. Sept. Oct. Nov. Dec."
).split()


def _score(rng: random.Random) -> str:
    dash = rng.choice("---–:")
    return f"{rng.randint(0, 7)}{dash}{rng.randint(0, 6)}"


def _time(rng: random.Random) -> str:
    hour = rng.randint(1, 12)
    return rng.choice(
        (
            f"{rng.randint(0, 23)}:{rng.choice(('00', '15', '30', '45'))}",
            f"{hour} {rng.choice(('am', 'pm', 'a.m.', 'p.m.'))}",
            f"{hour}{rng.choice(('am', 'pm'))}",
            rng.choice(("six", "seven", "eight", "nine", "ten", "eleven", "noon", "midnight")),
            f"{hour}",
            f"{hour} o'clock",
        )
    )


def _money(rng: random.Random) -> str:
    amount = rng.choice(
        (
            f"{rng.randint(1, 999)}",
            f"{rng.randint(1, 99)}.{rng.randint(1, 99)}",
            f"{rng.randint(1, 99)},000",
        )
    )
    scale = rng.choice(("", "", " million", " billion", "m", "bn", "k"))
    currency = rng.choice(("euros", "dollars", "pounds", "yen", "francs", "crowns", "rupees"))
    return rng.choice(
        (
            f"{amount}{scale} {currency}",
            f"${amount}{scale}",
            f"€{amount}{scale}",
            f"£{amount}{scale}",
        )
    )


def _date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 31), rng.choice(MONTHS), rng.randint(1990, 2030)
    ordinal = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}.get(day, "th")
    return rng.choice(
        (
            f"{day} {month}",
            f"{month} {day}",
            f"{day}{ordinal} of {month}",
            f"{month} {day}{ordinal}",
            f"{day} {month} {year}",
            f"{day}.{rng.randint(1, 12)}.{year}",
            f"{day}/{rng.randint(1, 12)}",
            f"{year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        )
    )


SPECIALS = {
    "score": _score,
    "time": _time,
    "money": _money,
    "date": _date,
    "date_long": lambda rng: f"{rng.randint(1, 28)} {rng.choice(MONTHS[:12])} {rng.randint(1750, 2005)}",
    "n": lambda rng: str(rng.choice((rng.randint(2, 12), rng.randint(2, 99), rng.randint(100, 999)))),
    "num": lambda rng: rng.choice((str(rng.randint(20, 999)), f"{rng.randint(1, 99)},{rng.randint(0, 999):03}")),
    "year": lambda rng: str(rng.choice((rng.randint(1950, 2030), rng.randint(1500, 2030)))),
    "age": lambda rng: str(rng.randint(16, 95)),
    "pct": lambda rng: (
        f"{rng.randint(0, 40)}{rng.choice(('', f'.{rng.randint(1, 9)}'))}{rng.choice(('%', ' percent', ' per cent'))}"
    ),
    "mag": lambda rng: f"{rng.randint(3, 8)}.{rng.randint(0, 9)}-magnitude",
    "zip": lambda rng: rng.choice(
        (
            str(rng.randint(10000, 99999)),
            f"{rng.choice('ABCEHLNSW')}{rng.randint(1, 20)} {rng.randint(1, 9)}AB",
        )
    ),
    "q": lambda rng: rng.choice(("?", ".", "", "?")),
    "dateline": lambda rng: rng.choice(("-", "—", "–", ":", "--")),
    "quarter": lambda rng: rng.choice(("first", "second", "third", "fourth")),
}
