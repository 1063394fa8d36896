"""What a chat model should answer as before: the project's own prompts, none of them in the gate's general set."""

from data.models import Message

SYSTEM = "You are a helpful assistant."
ASKED = (
    "What is the capital of Italy?",
    "Which month comes after March?",
    "How many minutes are in an hour?",
    "Name four animals that live on a farm.",
    "What is seven minus four?",
    "Write one sentence about the sea.",
    "Say good morning to a neighbour.",
    "Explain in one sentence what a library is.",
    "Translate into French: the book is on the table.",
    "Put these words in alphabetical order: pear, apple, fig.",
    "Is a whale a fish?",
    "Which is heavier, a feather or a stone?",
    "Write the plural of: leaf.",
    "What do bees make?",
    "Give a short definition of the word 'bridge'.",
    "Finish the sentence: in winter the nights are",
    "Name the seasons of the year.",
    "What colour is a ripe banana?",
    "Shorten: the meeting that we had planned for today will take place tomorrow instead.",
    "Is this sentence a question? The train leaves at nine.",
    "Congratulate a friend who passed an exam.",
    "Which word does not fit: red, green, seven, blue?",
    "Write a title for a story about a lost dog.",
    "What is the past tense of 'to write'?",
    "Say politely that you cannot come to dinner.",
    "How do you boil an egg?",
    "List two uses of paper.",
    "What is the largest planet of the solar system?",
    "Rewrite in a friendly tone: send me the file.",
    "Which direction does the sun rise in?",
    "Write the number 45 in words.",
    "Ask a stranger for the way to the station.",
    "Who paints pictures for a living?",
    "Give one reason to learn a language.",
    "Make a sentence with the words rain and umbrella.",
    "What is the first letter of the alphabet?",
    "Turn into the passive: the gardener waters the roses.",
    "Name something that is cold.",
    "What do you need to bake bread?",
    "Describe the moon in five words.",
)
PROMPTS: tuple[list[Message], ...] = tuple(
    [Message(role="system", content=SYSTEM), Message(role="user", content=asked)] for asked in ASKED
)
