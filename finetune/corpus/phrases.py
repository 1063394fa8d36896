"""What customers and agents of the invented cases say around what they say."""

# How one reply may begin and end; an empty one is drawn most often. A phrase with a placeholder is used only when the
# thread has said its value.
GREETINGS = [
    *(
        "",
        "",
        "",
        "Hi {first}, ",
        "Hello {first}. ",
        "Thanks, {first}. ",
        "Thank you for the details. ",
        "I understand. ",
    ),
    *("I see. ", "Of course. ", "Sure, I can help with that. ", "I am sorry to hear that. ", "Good question. "),
    *(
        "Okay, {first}. ",
        "Thanks for waiting. ",
        "Sorry for the trouble with the {item}. ",
        "I have {order} open here. ",
    ),
]
CLOSINGS = [
    *("", "", "", "", " Is there anything else I can help with?", " Let me know if that works.", " Does that help?"),
    *(" I hope that helps, {first}.", " Have a nice {weekday}.", " Please write again if it does not."),
    *(" You can reply here at any time.", " Shall I do that for you?"),
]
OPENERS = ["Hi", "Hello"]
WELCOMES = [
    "Hello, how can I help you?",
    "Good morning, what can I do for you?",
    "Welcome to {company}, how can I help?",
]
QUOTE_QUESTIONS = [
    "{keys}?",
    "what about {keys}",
    "Can you tell me about {keys}?",
    "I have a question about {title}: {keys}?",
    "How is it with {0}?",
    "{title}, {keys}",
    "My {0} is a problem. What now?",
    "Is there anything on {keys}, please?",
    "Something is wrong with the {0}. Help!",
]
UNKNOWN = "I do not know that yet. I will ask a colleague and write to you again."
THANKS = ["Thanks!", "Great, thank you.", "ok thanks, that's all", "Perfect. Thanks a lot, bye"]
BYES = ["You are welcome, {first}. Goodbye.", "Happy to help. Have a good day.", "Glad that helped. Bye."]
IDENTITIES = [
    *(
        "I'm {first}. ",
        "My name is {name}. ",
        "Hi, {first} here. ",
        "This is {name}, order {order}. ",
        "Order {order}. ",
    ),
    *("Hello. ", "Good evening, I am {first}. ", "{name} here, my number is {order}. "),
]
