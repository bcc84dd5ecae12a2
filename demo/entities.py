"""Names for the entity slots: Faker in many locales, word lists, and invented words."""

from __future__ import annotations

import random
from collections import defaultdict

from faker import Faker

LOCALES = (
    "en_US en_GB en_AU en_CA en_IE en_IN en_NZ de_DE de_AT de_CH fr_FR fr_CA es_ES es_MX es_CO "
    "es_AR it_IT pt_BR pt_PT nl_NL nl_BE sv_SE no_NO da_DK fi_FI pl_PL cs_CZ sk_SK sl_SI hr_HR "
    "hu_HU ro_RO tr_TR lt_LT lv_LV et_EE id_ID en_PK yo_NG ha_NG ig_NG zu_ZA tw_GH uz_UZ az_AZ "
    "sw fil_PH tl_PH ga_IE vi_VN en_TH en_KE"
).split()
ROMANIZED = ("ja_JP", "zh_CN", "zh_TW")
NAMED_AFTER_PLACE = ("Times", "Post", "Herald", "Tribune", "Police Department", "City Council")
NAMED_AFTER_SCOPE = ("Airlines", "Railways", "Court", "Party", "Museum", "Opera", "Red Cross")


class Invented:
    """A character trigram chain over given words, for words no list has."""

    def __init__(self, words: list[str]) -> None:
        """Count which character follows each pair of characters."""
        self.following: dict[str, list[str]] = defaultdict(list)
        for word in words:
            padded = "^^" + word.lower() + "$"
            for i in range(len(padded) - 2):
                self.following[padded[i : i + 2]].append(padded[i + 2])

    def word(self, rng: random.Random) -> str:
        """Invent a lower-case word of three to twelve letters."""
        while True:
            state, word = "^^", ""
            while len(word) < 12:
                char = rng.choice(self.following[state])
                if char == "$":
                    break
                word += char
                state = state[1] + char
            if len(word) >= 3:
                return word


def _faker_pools(size: int, seed: int) -> dict[str, list[str]]:
    """Draw name pools from every locale this Faker has, in Latin script only."""
    pools: dict[str, list[str]] = {k: [] for k in ("first", "last", "company", "city", "street")}
    pairs: list[str] = []

    def latin(text: str) -> bool:
        return all(ord(c) < 0x250 or 0x1E00 <= ord(c) < 0x1F00 or c in "’‘" for c in text)

    for locale in (*LOCALES, *ROMANIZED):
        try:
            fake = Faker(locale)
        except AttributeError:
            continue
        fake.seed_instance(seed)
        romanized = locale in ROMANIZED
        weight = 3 if locale.startswith("en_") and locale[3:] in ("US", "GB", "AU", "IN", "CA") else 1
        for _ in range(size * weight):
            if romanized:
                first, last = fake.first_romanized_name(), fake.last_romanized_name()
                drawn = {"first": first, "last": last}
            else:
                drawn = {"first": fake.first_name(), "last": fake.last_name()}
                drawn["company"] = fake.company()
                drawn["city"] = fake.city()
                drawn["street"] = fake.street_name()
            if locale.startswith("en_") and not romanized and locale not in ("en_US", "en_GB", "en_AU", "en_CA"):
                drawn.pop("company", None)
            if not all(latin(value) for value in drawn.values()):
                continue
            for key, value in drawn.items():
                if 1 < len(value) < 40:
                    pools[key].append(value)
            pairs.append(f"{drawn['first']} {drawn['last']}")
    pools["pair"] = pairs
    return pools


class Entities:
    """Draws a name for a slot such as `PER.first` or `ORG.club`."""

    def __init__(self, lists: dict[str, list[str]], seed: int, size: int = 400) -> None:
        """Draw the Faker pools once; `lists` is `data/entities.txt`."""
        self.lists = lists
        self.pools = _faker_pools(size, seed)
        self.person_words = Invented(self.pools["first"] + self.pools["last"])
        self.place_words = Invented(self.pools["city"] + lists["city"] + lists["country"] + lists["region"])
        self.name_words = Invented(lists["company"] + lists["org_stem"] + lists["product"] + lists["last_extra"])

    def __call__(self, slot: str, rng: random.Random, persons: list[str]) -> str:
        """Draw a name; `persons` are those already named in this text."""
        label, _, kind = slot.partition(".")
        if label == "PER":
            return self._person(kind, rng, persons)
        if label == "LOC":
            return self._place(kind, rng)
        if label == "ORG":
            return self._organisation(kind, rng)
        return self._misc(kind, rng)

    def _list(self, name: str, rng: random.Random) -> str:
        return rng.choice(self.lists[name])

    def _first(self, rng: random.Random) -> str:
        roll = rng.random()
        if roll < 0.12:
            return self.person_words.word(rng).capitalize()
        return self._list("first_extra", rng) if roll < 0.3 else rng.choice(self.pools["first"])

    def _last(self, rng: random.Random) -> str:
        roll = rng.random()
        if roll < 0.15:
            return self.person_words.word(rng).capitalize()
        if roll < 0.19:
            return f"{rng.choice(self.pools['last'])}-{rng.choice(self.pools['last'])}"
        if roll < 0.21:
            prefix = rng.choice(("O'", "Mc", "Mac", "D'", "Al-", "El-", "Ben-"))
            return prefix + rng.choice(self.pools["last"])
        if roll < 0.24:
            prefix = rng.choice(("van ", "van der ", "de ", "von ", "da ", "del ", "di ", "bin ", "al-", "St. "))
            return prefix + rng.choice(self.pools["last"])
        return self._list("last_extra", rng) if roll < 0.36 else rng.choice(self.pools["last"])

    def _person(self, kind: str, rng: random.Random, persons: list[str]) -> str:
        if kind in ("first", "nick") and persons and rng.random() < (0.6 if kind == "nick" else 0.15):
            return rng.choice(persons[-1].split())
        if kind == "nick":
            name = self._first(rng)
            return rng.choice((name, name, name[:3], name[:4], name[:3] + "y", name[0] + "."))
        if kind == "first":
            return self._first(rng)
        if kind == "last":
            return self._last(rng)
        roll = rng.random()
        if roll < 0.35:
            return rng.choice(self.pools["pair"])
        if roll < 0.68:
            return f"{self._first(rng)} {self._last(rng)}"
        if roll < 0.8:
            return f"{self._first(rng)} {self._first(rng)} {self._last(rng)}"
        if roll < 0.84:
            return f"{self._first(rng)} {rng.choice('ABCDEFGHJKLMNPRSTW')}. {self._last(rng)}"
        if roll < 0.86:
            return f"{rng.choice('ABCDEFGHJKLMNPRSTW')}. {self._last(rng)}"
        if roll < 0.87:
            return f"{rng.choice('ABCDEJKLMPRST')}.{rng.choice('ABCDEJKLMPRST')}. {self._last(rng)}"
        if roll < 0.88:
            return f"{self._first(rng)} {self._last(rng)} {rng.choice(('Jr.', 'III', 'II', 'Sr.'))}"
        if roll < 0.90:
            return f"{self._first(rng)}-{self._first(rng)} {self._last(rng)}"
        return self._last(rng) if roll < 0.95 else self._first(rng)

    def _place(self, kind: str, rng: random.Random) -> str:
        if kind == "city1":
            return rng.choice([c for c in self.lists["city"] if c.isalpha()])
        if kind == "the":
            return self._list("country_the", rng)
        if kind == "country":
            return self._list("country", rng) if rng.random() < 0.93 else self.place_words.word(rng).capitalize()
        if kind == "region":
            return self._list("region", rng)
        if kind == "river":
            return self._list("river", rng) if rng.random() < 0.75 else self.place_words.word(rng).capitalize()
        if kind == "street":
            number = rng.randint(1, 250)
            street = rng.choice(self.pools["street"])
            return rng.choice((f"{number} {street}", f"{street} {number}", street))
        if kind == "landmark" or (not kind and rng.random() < 0.1):
            return self._landmark(rng)
        roll = rng.random()
        if not kind and roll < 0.33:
            return self._list("country", rng)
        if not kind and roll < 0.5:
            return self._list("region", rng)
        roll = rng.random()
        if roll < 0.55:
            return self._list("city", rng)
        if roll < 0.85:
            return rng.choice(self.pools["city"])
        if roll < 0.9:
            return f"{self._list('loc_prefix', rng)} {self.place_words.word(rng).capitalize()}"
        return self.place_words.word(rng).capitalize()

    def _landmark(self, rng: random.Random) -> str:
        roll = rng.random()
        if roll < 0.4:
            return self._list("landmark", rng)
        word = rng.choice((self.place_words.word(rng).capitalize(), self._list("city", rng), self._last(rng)))
        if roll < 0.7:
            return f"{word} {self._list('loc_suffix', rng)}"
        return f"{self._list('loc_prefix', rng)} {word}"

    def _organisation(self, kind: str, rng: random.Random) -> str:
        if not kind:
            kind = rng.choice(
                (
                    "company",
                    "company",
                    "company",
                    "agency",
                    "uni",
                    "body",
                    "club",
                    "charity",
                    "hospital",
                )
            )
        if kind == "club":
            return self._club(rng)
        if kind == "agency":
            roll = rng.random()
            if roll < 0.1:
                return "".join(rng.choice("ABCDEFGHIKLMNOPRSTUVW") for _ in range(rng.randint(2, 5)))
            return self._list("agency", rng) if roll < 0.65 else self._body(rng)
        if kind == "uni":
            return self._university(rng)
        if kind == "body":
            return self._body(rng)
        if kind == "charity":
            return self._list("charity", rng) if rng.random() < 0.5 else self._invented_charity(rng)
        if kind == "hospital":
            saint = f"St. {self._first(rng)}'s Hospital"
            return rng.choice((saint, f"{self._place('city', rng)} General Hospital", f"{self._last(rng)} Clinic"))
        return self._company(rng)

    def _company(self, rng: random.Random) -> str:
        roll = rng.random()
        if roll < 0.42:
            return self._list("company", rng)
        if roll < 0.58:
            return rng.choice(self.pools["company"])
        suffix = self._list("org_suffix", rng)
        stem = rng.choice(
            (
                self._list("org_stem", rng) + self._list("org_stem2", rng),
                self._list("org_stem", rng),
                self._last(rng),
                self.name_words.word(rng).capitalize(),
                self.name_words.word(rng).capitalize(),
            )
        )
        if roll < 0.66:
            return f"{stem} {self._list('org_word', rng)}"
        if roll < 0.73:
            return f"{stem} {self._list('org_word', rng)} {suffix}"
        if roll < 0.80:
            return f"{stem} {suffix}"
        if roll < 0.88:
            ending = rng.choice(("", "", f" {suffix}", f" {self._list('org_word', rng)}", " LLP", " & Co."))
            return f"{self._last(rng)} {rng.choice(('&', '&', 'and'))} {self._last(rng)}{ending}"
        if roll < 0.90:
            return f"{self._last(rng)}, {self._last(rng)} & {self._last(rng)}"
        if roll < 0.93:
            letters = "".join(rng.choice("ABCDEFGHIKLMNOPRSTVWX") for _ in range(rng.randint(2, 4)))
            return rng.choice((letters, f"{letters[0]}&{letters[1]}", f"{letters} {self._list('org_word', rng)}"))
        return stem

    def _club(self, rng: random.Random) -> str:
        roll = rng.random()
        if roll < 0.6:
            return self._list("club", rng)
        town = self._place("city", rng)
        if roll < 0.85:
            return f"{town} {self._list('club_suffix', rng)}"
        prefix = rng.choice(("FC", "Real", "AC", "SC", "Dynamo", "Sporting", "Inter", "Olympique", "CF", "VfB"))
        return f"{prefix} {town}"

    def _university(self, rng: random.Random) -> str:
        town = rng.choice((self._place("city", rng), self._list("city", rng), self._list("region", rng)))
        name = rng.choice((town, self._last(rng)))
        field = self._list("org_field", rng)
        return rng.choice(
            (
                f"University of {town}",
                f"University of {town}",
                f"{town} University",
                f"{name} University",
                f"{name} College",
                f"{town} Institute of Technology",
                f"{town} School of {field}",
                f"Technical University of {town}",
                f"{self._list('org_scope', rng)} Academy of {field}",
                rng.choice(("MIT", "UCLA", "Harvard", "Stanford", "Oxford", "ETH", "Yale", "Cambridge")),
            )
        )

    def _body(self, rng: random.Random) -> str:
        scope, kind, field = (self._list(k, rng) for k in ("org_scope", "org_kind", "org_field"))
        place = rng.choice((self._list("country", rng), self._list("city", rng)))
        return rng.choice(
            (
                f"{scope} {kind} for {field}",
                f"{scope} {field} {kind}",
                f"{scope} {kind} of {field}",
                f"{scope} Bank",
                f"Bank of {place}",
                f"{kind} of {field}",
                f"{field} {kind}",
                f"Ministry of {self._list('dept', rng)}",
                f"Department of {self._list('dept', rng)}",
                f"{place} {kind}",
                f"{place} {rng.choice(NAMED_AFTER_PLACE)}",
                f"{scope} {rng.choice(NAMED_AFTER_SCOPE)}",
            )
        )

    def _invented_charity(self, rng: random.Random) -> str:
        verb = rng.choice(
            (
                "Help",
                "Save",
                "Feed",
                "Teach",
                "Heal",
                "Protect",
                "Friends of",
                "Hope for",
                "Voices for",
            )
        )
        return f"{verb} {rng.choice(('the', 'our', ''))} {self._list('org_field', rng)}".replace("  ", " ")

    def _misc(self, kind: str, rng: random.Random) -> str:
        if not kind:
            kind = rng.choice(("nat", "lang", "event", "product", "work"))
        if kind == "nat":
            return self._list("nationality", rng) if rng.random() < 0.95 else self._adjective(rng)
        if kind == "natpl":
            return self._list("nationality_pl", rng)
        if kind == "lang":
            return self._list("language", rng) if rng.random() < 0.95 else self._adjective(rng)
        if kind == "event":
            return self._event(rng)
        return self._product(rng) if kind == "product" else self._work(rng)

    def _adjective(self, rng: random.Random) -> str:
        return self.place_words.word(rng).capitalize()[:8] + rng.choice(("ian", "ese", "ish", "an", "i", "ean"))

    def _event(self, rng: random.Random) -> str:
        roll = rng.random()
        if roll < 0.62:
            return self._list("event", rng)
        town = rng.choice((self._place("city", rng), self._list("nationality", rng), self._last(rng)))
        year = f" {rng.randint(1990, 2030)}" if roll > 0.93 else ""
        return f"{town} {self._list('event_head', rng)}{year}"

    def _product(self, rng: random.Random) -> str:
        roll = rng.random()
        if roll < 0.6:
            return self._list("product", rng)
        stem = rng.choice((self._list("product", rng), self.name_words.word(rng).capitalize()))
        if roll < 0.8:
            return f"{stem} {self._list('product_suffix', rng)}"
        return rng.choice((stem, f"{stem} {rng.choice('ABCGMPRSTX')}{rng.randint(1, 900)}"))

    def _work(self, rng: random.Random) -> str:
        roll = rng.random()
        if roll < 0.45:
            return self._list("work", rng)
        adj, noun, other = (
            self._list("work_adj", rng),
            self._list("work_noun", rng),
            self._list("work_noun", rng),
        )
        return rng.choice(
            (
                f"The {adj} {noun}",
                f"The {noun}",
                f"The {noun} of {other}",
                f"The {noun} of {self._place('city', rng)}",
                f"{adj} {noun}",
                f"{noun} and {other}",
                f"A {noun} in {self._place('city', rng)}",
                f"Portrait of {self._person('', rng, [])}",
                f"{adj} {self._place('city', rng)}",
            )
        )
