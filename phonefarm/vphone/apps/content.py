"""What the feed app shows: made from (seed, topic) alone, so every phone and every test agrees on it.

Of the 24 videos of a topic about 70 % mention it in their title and tags; the rest are about something else, as search
results are. The empty topic is the feed itself.
"""

import random
import re
from dataclasses import dataclass

RESULTS = 24
"""Videos per topic."""
RELEVANT = 17
"""Of them, videos that are about the topic."""
NOTHING = "nothing here"
"""The topic that finds nothing."""

_TEMPLATES = (
    "{T} for complete beginners",
    "I tried {t} for 30 days",
    "5 {t} mistakes everyone makes",
    "The truth about {t}",
    "{T}: my honest review",
    "How I got better at {t}",
    "{T} in one minute",
    "What nobody tells you about {t}",
    "My favourite {t} tricks",
    "{T} on a small budget",
    "Best of {t} this week",
    "A day full of {t}",
    "Learning {t} from my grandmother",
    "{T} gone wrong",
    "Is {t} worth the hype?",
    "Ranking every kind of {t}",
    "{T} that actually works",
    "Three rules of good {t}",
    "Why I love {t}",
    "{T} at home, step by step",
)
_OTHERS = (
    ("Parking fails of the month", "cars fails"),
    ("My cat opens every door", "cat pets"),
    ("Sunrise above the clouds", "travel morning"),
    ("Moving into a tiny flat", "home moving"),
    ("Guess the song in two seconds", "music quiz"),
    ("Folding a paper plane that flies far", "paper howto"),
    ("What I eat before an exam", "student day"),
    ("Old radio brought back to life", "repair vintage"),
    ("Rain on a tin roof", "calm rain"),
    ("Goal of the season?", "football goal"),
    ("Painting with only blue", "art painting"),
    ("The neighbour's dog again", "dog funny"),
    ("Speed cubing in nine seconds", "cube speed"),
    ("Night train across the Alps", "train travel"),
    ("Two chairs, one joke", "comedy duo"),
    ("Building a shelf without screws", "wood diy"),
    ("Rating airport lounges", "airport review"),
    ("Desk setup under fifty euros", "desk setup"),
    ("First snow in ten years", "snow winter"),
    ("This knot never slips", "knots howto"),
    ("Street piano surprise", "piano street"),
    ("Cleaning a carpet from 1960", "cleaning asmr"),
    ("Lost phone, happy end", "story luck"),
    ("Four plants that need no light", "plants home"),
    ("My sister reads my diary", "family funny"),
    ("Waterfall behind the village", "nature walk"),
    ("Marathon in the desert", "running desert"),
    ("Lego city, part 12", "lego build"),
    ("Whispering shop assistant", "asmr roleplay"),
    ("Clouds that look like ships", "clouds calm"),
)
_AUTHORS = (
    "maria.moves", "tom_tries", "dailydana", "northlight", "kofi.creates", "the_real_anna", "papa_joe", "lin.learns",
    "studio42", "oskar", "yuki.and.me", "granny_ruth", "fastfred", "quiet.corner", "sofia_s", "mister_k",
)  # fmt: skip
_COMMON_TAGS = ("fyp", "viral", "tips", "learn", "daily", "new", "trend", "today")


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """One video; ``tags`` are without their ``#``, ``author`` without its ``@``, ``seconds`` is its length."""

    title: str
    author: str
    tags: tuple[str, ...]
    seconds: int

    @property
    def author_line(self) -> str:
        """The author as the app shows it: ``@name``."""
        return f"@{self.author}"

    @property
    def tag_line(self) -> str:
        """The tags as the app shows them: ``#a #b #c``."""
        return " ".join(f"#{tag}" for tag in self.tags)


def catalogue(seed: int, topic: str) -> list[Video]:
    """The videos that searching for ``topic`` finds, best rank first; blanks around and case of it do not matter."""
    words = topic.split()
    subject = " ".join(words)
    if subject.casefold() == NOTHING:
        return []
    chance = random.Random(f"{seed}|{subject.casefold()}")
    relevant = RELEVANT if subject else 0
    videos = [_about(subject, template, chance) for template in chance.sample(_TEMPLATES, relevant)]
    videos += _others(words, RESULTS - relevant, chance)
    chance.shuffle(videos)
    return videos


def _about(subject: str, template: str, chance: random.Random) -> Video:
    title = template.format(t=subject, T=subject[:1].upper() + subject[1:])
    tag = re.sub(r"[\W_]+", "", subject.casefold()) or "video"
    return _video(title, (tag, *chance.sample(_COMMON_TAGS, 2)), chance)


def _others(words: list[str], count: int, chance: random.Random) -> list[Video]:
    """Videos about something else: none mentions a word of the topic."""
    unwanted = {word.casefold() for word in words}
    free = [(title, tags) for title, tags in _OTHERS if not unwanted & _words_of(title, tags)]
    chosen = chance.sample(free, min(count, len(free)))
    return [_video(title, (*tags.split(), chance.choice(_COMMON_TAGS)), chance) for title, tags in chosen]


def _words_of(title: str, tags: str) -> set[str]:
    return set(re.findall(r"\w+", f"{title} {tags}".casefold()))


def _video(title: str, tags: tuple[str, ...], chance: random.Random) -> Video:
    return Video(title=title, author=chance.choice(_AUTHORS), tags=tags, seconds=chance.randint(8, 59))
