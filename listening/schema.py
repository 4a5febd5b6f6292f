"""Tables of the database that holds pieces, listeners and their votes."""

VERSION = 1  # of the tables; kept in `PRAGMA user_version`
ATTENTION_SOURCE = "attention check"  # `pieces.source` of what is in attention checks only: no composer, in no results

SCHEMA = """
CREATE TABLE pieces (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,   -- SHA-256 of the file
    source TEXT NOT NULL,          -- composer as tables name it, such as the name of a run or folder
    file TEXT NOT NULL,            -- path of the file
    by_person INTEGER,             -- 1: a person wrote it; 0: a machine; NULL: not known
    genre TEXT,
    seconds REAL NOT NULL          -- length of its sound
);
CREATE TABLE listeners (
    id TEXT PRIMARY KEY,           -- random, and nothing else is known of a listener
    day TEXT NOT NULL              -- of the consent, YYYY-MM-DD
);
CREATE TABLE pairs (               -- what was asked
    id TEXT PRIMARY KEY,
    listener TEXT NOT NULL REFERENCES listeners(id),
    question TEXT NOT NULL CHECK (question IN ('better', 'person')),
    first INTEGER NOT NULL REFERENCES pieces(id),    -- heard first
    second INTEGER NOT NULL REFERENCES pieces(id),
    attention TEXT CHECK (attention IN ('first', 'second'))  -- of an attention check: the right answer; else NULL
);
CREATE TABLE votes (               -- what was answered: one vote a pair
    pair TEXT PRIMARY KEY REFERENCES pairs(id),
    choice TEXT NOT NULL CHECK (choice IN ('first', 'second', 'tie')),
    seconds REAL NOT NULL          -- from the question to the answer
);
CREATE TABLE plays (               -- of the radio, each after 10 s or half of the piece
    id TEXT PRIMARY KEY,           -- chosen by the client: a repeated request is one play
    listener TEXT NOT NULL REFERENCES listeners(id),
    piece INTEGER NOT NULL REFERENCES pieces(id)
);
CREATE TABLE likes (
    listener TEXT NOT NULL REFERENCES listeners(id),
    piece INTEGER NOT NULL REFERENCES pieces(id),
    PRIMARY KEY (listener, piece)  -- one like a listener
);
CREATE INDEX pairs_of_listeners ON pairs (listener);
CREATE INDEX plays_of_listeners ON plays (listener, piece);
"""
