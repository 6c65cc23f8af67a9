"""What the stand-in speakers say: short sentences of our own, neutral in content but for those of `TELLING`."""

ENGLISH = (
    "The window faces the garden",
    "We walked along the river",
    "My keys are in the drawer",
    "The train leaves at noon",
    "She painted the kitchen green",
    "There is a letter for you",
    "He parked behind the station",
    "The meeting was moved again",
    "I put the box upstairs",
    "They live near the harbour",
    "Your coat is on the chair",
    "The shop opens after lunch",
    "We ordered soup and bread",
    "The radio is still playing",
    "I called her this morning",
    "The road goes over the hill",
    "Somebody left the light on",
    "You can see the bridge",
    "He told me about the plan",
    "The water is almost boiling",
    "We have two more hours",
    "The children are in school",
    "I saw it on the table",
    "The bus stops over there",
)

# What people say of their own accord when they feel so, by emotion. The sentences have few words in common, so that
# they are told apart when only some of them are recognised.
TELLING = {
    "anger": ("Stop it or I get really angry", "Shut up and get out of here", "How I hate it when you shout"),
    "happiness": ("We won and I am so happy", "What a lovely big surprise", "This is the best day ever"),
    "sadness": ("She died and I miss her", "Nobody came to say goodbye", "It makes me feel sad and lonely"),
}

# Two statements of RAVDESS, by number.
RAVDESS = {1: "Birds are singing in the yard", 2: "Boats are waiting in the bay"}

# Twelve sentences of CREMA-D, by code.
CREMA_D = {
    "IEO": "It is almost noon",
    "TIE": "The phone is in there",
    "IOM": "I opened my book",
    "IWW": "I was writing a list",
    "TAI": "The afternoon is mild",
    "MTI": "Maybe the ice is thin",
    "IWL": "I would like some tea",
    "ITH": "I think he called twice",
    "DFA": "Do not fill all of it",
    "ITS": "I took the second train",
    "TSI": "The store is on the left",
    "WSI": "We stayed in that hotel",
}

ALL_ENGLISH = (*ENGLISH, *(said for told in TELLING.values() for said in told), *RAVDESS.values(), *CREMA_D.values())
"""Every sentence of the English stand-ins."""

# Ten texts of EmoDB, by code.
EMODB = {
    "a01": "Die Lampe steht auf dem Regal",
    "a02": "Er bringt den Brief am Freitag",
    "a04": "Heute kann sie mit ihm reden",
    "a05": "Der Wagen steht hinter dem Haus",
    "a07": "In zwei Stunden kommt der Zug",
    "b01": "Was liegt da im Garten",
    "b02": "Sie haben es nach oben getragen",
    "b03": "Am Montag fahre ich nach Hause",
    "b09": "Ich will das noch heute lesen",
    "b10": "Die Tasche ist in der Ecke",
}

# Six sentences of CaFE, by number.
CAFE = {
    1: "La voiture est dans la rue",
    2: "Il ouvre la porte du jardin",
    3: "Elle arrive avec le train",
    4: "Le pain est sur la table",
    5: "Nous partons demain matin",
    6: "Tu prends le livre rouge",
}

# Ten sentences of the Mandarin stand-in, by number.
MANDARIN = {
    1: "书在桌子上面",
    2: "他下午三点到家",
    3: "我们明天去北京",
    4: "窗外有一棵大树",
    5: "火车八点钟开",
    6: "她在厨房里做饭",
    7: "今天的会改到周五",
    8: "请把桌上的灯打开",
    9: "商店午饭后开门",
    10: "我昨天买了一本书",
}
