"""The words people use to ask about a picture: plain tables that `shapes.py` combines.

`{it}` is the picture, `{it2}` both of two pictures, `{nth}` one of two, `{shape}`, `{shapes}`, `{color}` and `{count}` a claim,
`{fields}` the wanted fields, `{list}` a list of categories.
"""

IT = (
    "the picture", "this picture", "the image", "this image", "the photo", "the drawing", "the attached image",
    "the given picture", "the image above", "it", "this", "the objects", "the objects in the picture",
    "the shapes in the image", "the objects in this image", "the shapes", "the scene",
)  # fmt: skip
IT2 = (
    "both pictures", "both images", "the two pictures", "the two images", "each picture", "each image",
    "these pictures", "the images", "the pictures", "each of the two images",
)  # fmt: skip
NTH = (
    ("the first picture", "the first image", "picture 1", "image 1", "the first one", "the left picture"),
    ("the second picture", "the second image", "picture 2", "image 2", "the second one", "the last picture"),
)

DESCRIBE = (
    "Describe {it}", "Analyze {it}", "Analyse {it}", "Look at {it}", "Tell me about {it}", "Tell me what {it} shows",
    "Summarize {it}", "Caption {it}", "Explain {it}", "Say what you see in {it}", "Describe {it} in detail",
    "Describe briefly {it}", "Write a caption for {it}", "Identify {it}", "Report on {it}", "Describe what you see",
    "Tell me what you see", "Give a short description of {it}", "Write one sentence about {it}", "Describe",
)  # fmt: skip
DESCRIBE_ASK = (
    "What is in {it}?", "What do you see?", "What is this?", "What does {it} show?", "What do you see in {it}?",
    "What's in {it}?", "What can you see?", "What is shown in {it}?", "What is shown here?", "What's this?",
    "Which objects are in {it}?", "Can you describe {it}?", "What is visible in {it}?", "What is it?",
    "What are you looking at?", "What objects do you see?", "What is drawn here?", "What is depicted in {it}?",
)  # fmt: skip
EXTRACT = (
    "Annotate {it}", "Label {it}", "Classify {it}", "Extract the attributes of {it}", "Extract the data from {it}",
    "Extract shape, color and count", "Report the shape, the color and the number of {it}", "Tag {it}",
    "Give the shape, color and count of {it}", "List the shape, color and number of objects", "Parse {it}",
    "Identify the shape, color and count", "Tell the shape, the colour and the count", "Detect the objects in {it}",
    "Recognize the objects in {it}", "What shape, color and count do you see?", "Extract the attributes",
    "Which shape is it, which color has it and how many are there?", "Find the objects in {it}",
)  # fmt: skip
AS_JSON = (
    "as JSON", "in JSON", "in JSON format", "as a JSON object", "as json", "and return JSON", "and output JSON",
    "and answer in JSON", "with a JSON object", "and output only JSON", "and output ONLY the JSON object",
    "and output ONLY the JSON object in the specified format", "and reply with JSON only", "using JSON",
    "as structured JSON", "and give me JSON", "and respond with a JSON object only",
)  # fmt: skip
JSON_AFTER = (
    "Return JSON.", "Answer in JSON.", "Output only JSON.", "JSON only.", "Reply with a JSON object.",
    "Respond in JSON format.", "Use JSON.", "Return only a JSON object.", "Output ONLY the JSON object.",
    "Answer with JSON and nothing else.", "Give me JSON.", "Return the result as JSON.", "JSON please.",
    "No prose, only JSON.", "Format: JSON.", "Return valid JSON.", "JSON:", "Answer as JSON.",
)  # fmt: skip
WITH_KEYS = (
    'with the keys "shape", "color" and "count"', "with the keys shape, color and count",
    "with keys shape, color, count", "with the fields shape, color and count", "with shape, color and count",
    'like {"shape": ..., "color": ..., "count": ...}', 'in the form {"shape": "...", "color": "...", "count": 0}',
    'using the format {"shape": string, "color": string, "count": number}', "(shape, color, count)",
    'with exactly these keys: "shape", "color", "count"', "that has shape, color and count",
)  # fmt: skip
SOME_FIELDS = (
    "Return JSON with only the {fields}.", "Give the {fields} as JSON.", "Answer in JSON with the {fields}.",
    "Extract the {fields} as JSON.", "Output a JSON object with the {fields}.", "JSON with the {fields} only.",
    "Report only the {fields} in JSON.", "Tell me the {fields} as a JSON object.", "Return the {fields} in JSON format.",
    "Output ONLY a JSON object with the {fields}.", "What is the {fields}? Answer in JSON.",
)  # fmt: skip

ASK_FIELD = {
    "shape": (
        "What shape is it?", "What shape is in {it}?", "Which shape do you see?", "Name the shape.", "Shape?",
        "What kind of objects are these?", "What shape do the objects have?", "What is the shape?", "What are they?",
        "Which shape is shown?", "What shape are the objects?", "Which shape is drawn in {it}?", "Tell me the shape.",
        "Is it a circle, a square, a triangle, a star or a cross?", "What is the shape of {it}?", "What shapes are these?",
        "What is the shape of the objects?", "What type of shape is it?", "Identify the shape.", "What shape is this?",
        "What form do the objects have?", "Give the shape.", "What kind of shape do you see?", "What shapes do you see?",
    ),
    "color": (
        "What color is it?", "What colour is it?", "What color are the objects?", "Which color do you see?", "Color?",
        "Name the color.", "What is the color of {it}?", "What colour are they?", "Which colour have the shapes?",
        "What color are they?", "What is the color?", "Tell me the color.", "Tell me the colour.", "Identify the color.",
        "What color is the object?", "Which color are the objects in {it}?", "What color is the shape?", "Give the color.",
        "What is the colour of the objects?", "What color do the shapes have?", "What color is this?", "What colors do you see?",
        "What is the color of the shapes?", "Which color is it?",
    ),
    "count": (
        "How many objects are there?", "How many?", "Count the objects.", "How many shapes do you see?", "Count?",
        "How many objects are in {it}?", "What is the number of objects?", "Count them.", "How many are there?",
        "How many shapes are there?", "How many things do you see?", "Number of objects?", "Count the shapes in {it}.",
        "Tell me how many objects there are.", "How many objects do you see?", "How many shapes are in {it}?",
        "Give the number of objects.", "What is the count?", "How many items are in {it}?", "How many of them are there?",
        "Tell me the number of shapes.", "How many do you see?", "What number of shapes is shown?", "Give the count.",
    ),
}  # fmt: skip
COUNT_CLAIM = (
    "How many {shapes} are there?", "How many {color} {shapes} are there?", "Count the {shapes}.", "How many {shapes}?",
    "How many {color} objects do you see?", "How many {shapes} do you see?", "Count the {color} {shapes} in {it}.",
    "How many {color} {shapes} do you see?", "How many {shapes} are in {it}?", "How many {color} shapes are in {it}?",
)  # fmt: skip
ONE_WORD = (
    "One word.",
    "Answer with one word.",
    "Answer in one word only.",
    "Use a single word.",
    "Just the answer.",
    "Be brief.",
)

CHECK = (
    "Is there a {color} {shape} in {it}?", "Is there a {shape}?", "Do you see a {color} object?", "Is it {color}?",
    "Is it a {shape}?", "Are there {count} objects?", "Are there any {shapes}?", "Are there {color} {shapes} in {it}?",
    "Does {it} show a {shape}?", "Are the objects {color}?", "Are they {shapes}?", "Do you see {count} {shapes}?",
    "Is the shape a {shape}?", "Is the color {color}?", "Are there exactly {count} {color} {shapes}?",
    "Can you see a {shape}?", "Is anything {color}?", "Does {it} contain {shapes}?",
)  # fmt: skip

SORT = (
    "Sort {it} into one of these categories: {list}.", "Classify {it} into one of these categories: {list}.",
    "Assign {it} to one of the categories: {list}.", "Which of these categories fits {it}: {list}?",
    "Choose the category of {it} from: {list}.", "Put {it} into exactly one category: {list}.",
    "Pick the matching category: {list}.", "Categories: {list}. Which one matches {it}?", "Choose one: {list}.",
    "Cluster {it} to its matching category from the provided category list: {list}.",
    "Given the categories {list}, decide which one {it} belongs to.", "Select the best label for {it}: {list}.",
    "Cluster the image to its matching category. Categories: {list}.", "Categorize {it}. The categories are {list}.",
    "Category list: {list}. Cluster the image to its matching category from the provided category list.",
    "Label {it} with one of: {list}.", "Possible categories: {list}. Sort {it}.", "Is {it} one of {list}?",
)  # fmt: skip
SORT_FORMAT = (
    "Output ONLY the JSON object.", 'Output ONLY the JSON object {"category": "..."}.', "Answer in JSON.",
    "Output ONLY the JSON object in the specified format.", 'Format: {"category": "<name>"}.', "Return JSON.",
    'Return {"category": "..."}.', 'Answer as {"category": ...}.', "Reply with JSON only.", "",
    'Respond with a JSON object with the key "category".', "Output only JSON.", "JSON only.",
)  # fmt: skip
# Used when the list stands in the system prompt, and for the guide's own words without any list.
SORT_BARE = (
    ("Cluster the image to its matching category from the provided category list and output ONLY the JSON object"
    " in the specified format."),
    "Cluster the image to its matching category and output ONLY the JSON object in the specified format.",
    "Sort {it} into its category and output ONLY the JSON object.", "Which category does {it} belong to?",
    "Classify {it} and output ONLY the JSON object.", "Choose the matching category for {it}.",
    "Assign {it} to its category.", "Cluster {it} to its matching category.", "Category?",
    "Put {it} into one of the given categories.", "Which of the categories matches {it}?",
)  # fmt: skip
SORT_SYSTEM = (
    "Categories: {list}.", "You sort pictures. The categories are: {list}.", "Category list: {list}.",
    "You are a classifier. Use exactly one of these categories: {list}.", "Allowed categories: {list}.",
    "Sort every image into one of these categories: {list}.",
    "You are an image clustering assistant. The provided category list is: {list}.",
    "Assign each picture to one category from this list: {list}.",
)  # fmt: skip

PAIR_JSON = (
    "Describe {it2} as JSON.", "Return a JSON list with one object for each picture.", "Annotate {it2} in JSON.",
    "Describe {it2} as a JSON list.", "Give the shape, color and count of {it2} as JSON.", "Output JSON for {it2}.",
    "Extract shape, color and count from {it2}. Output only JSON.", "Label {it2} and return a JSON array.",
    "For {it2}, return the shape, the color and the count as JSON.", "Output ONLY a JSON array, one object per image.",
)  # fmt: skip
PAIR_WORDS = (
    "Describe {it2}.", "What is in {it2}?", "What do {it2} show?", "What do you see in {it2}?", "Compare {it2}.",
    "Tell me what {it2} show.", "What do you see?", "Describe the images one after the other.",
)  # fmt: skip
PAIR_FIELD = {
    "shape": ("What shape is in {nth}?", "Which shape does {nth} show?", "Name the shape in {nth}.", "In {nth}, what shape is it?"),
    "color": ("What color is {nth}?", "What color are the objects in {nth}?", "Which colour has {nth}?", "In {nth}, what color is it?"),
    "count": ("How many objects are in {nth}?", "Count the objects in {nth}.", "How many shapes does {nth} show?", "In {nth}, how many objects are there?"),
}  # fmt: skip
PAIR_SAME = {
    "shape": ("Do {it2} show the same shape?", "Is the shape the same in {it2}?", "Are the shapes the same?"),
    "color": ("Do {it2} have the same color?", "Is the color the same in {it2}?", "Are the colors the same?"),
    "count": ("Do {it2} show the same number of objects?", "Is the count the same in {it2}?", "Are there as many objects in {it2}?"),
}  # fmt: skip

BEFORE = ("Please ", "Could you please ", "Now ", "Can you ", "I want you to ", "Your task: ", "Task: ")
AFTER = (
    "Thanks!",
    "Thank you.",
    "Please.",
    "Be precise.",
    "Be careful.",
    "Do not explain.",
    "Think carefully.",
)

SYSTEM = (
    "You are a helpful assistant.", "You are a careful annotator.", "You are a vision model.", "Be precise.",
    "You look at pictures and answer questions.", "You are an expert in image analysis.", "Answer truthfully.",
    "You are an image labelling assistant. Answer exactly as asked.", "Follow the instructions of the user.",
    "You are a helpful, honest and harmless assistant.", "Keep your answers short.", "You describe images.",
    ("You are a data annotation assistant. You are given pictures from a dataset and a question about each of them."
    " Look at the picture carefully, answer the question and do not add anything that was not asked for."),
    ("You work for a company that makes toys. Every picture shows pieces that lie on a conveyor belt, and your answers"
    " go straight into a database. Never guess, never explain, and keep to the format that the user asks for."
    " If the user asks for JSON, the answer must be a JSON object without any text before or after it."),
    "You are an AI system for quality control. Your job is to look at the image and to answer in the requested format.",
)  # fmt: skip
SYSTEM_JSON = (
    "Answer only in JSON.", "You are an annotator. Always answer with a JSON object.", "Output JSON.",
    "Return a JSON object with the keys shape, color and count.", "Respond with JSON only.",
    'You are a careful annotator. Describe each picture as {"shape": ..., "color": ..., "count": ...}.',
    "Always respond in JSON format.", "Every answer is a JSON object with shape, color and count.",
)  # fmt: skip

REFUSED = (
    "Hello", "Hi", "Hi there!", "Hello, how are you?", "Who are you?", "What is your name?", "What can you do?",
    "Write a poem.", "Write a poem about the sea.", "Tell me a joke.", "What is the capital of France?", "Thanks!",
    "Translate this into German.", "Translate the text into Spanish.", "What is 2 + 2?", "What is 17 times 3?",
    "Write a Python function that sorts a list.", "Who won the world cup?", "What is the weather like today?",
    "What text is written in the picture?", "Read the text in the image.", "Is there a person in the picture?",
    "What is the background color?", "What colour is the background?", "Who is in this photo?", "What time is it?",
    "How old is the person in the image?", "Where was this photo taken?", "Is there a dog in the picture?",
    "Is there a cat?", "How many people are there?", "How many cars do you see?", "What brand is the car?",
    "Explain quantum physics.", "What is the meaning of life?", "Give me a recipe for soup.", "Tell me a story.",
    "Write an email to my boss.", "Summarize the article.", "What is the price of this product?", "test", "foo",
    "What is the license plate?", "Is this food healthy?", "Transcribe the handwriting.", "What does the sign say?",
    "Solve the equation x + 3 = 7.", "What is machine learning?", "Who is the president?", "How do I cook rice?",
    "Draw a picture of a cat.", "Make the image brighter.", "Where is the Eiffel tower?", "asdf", "ok", "???",
    "What emotion does the face show?", "Is the animal a cat or a dog?", "What kind of animal is this?",
    "What breed is the dog?", "Sing a song.", "How tall is Mount Everest?", "When was the war?", "Good morning",
    "Describe the weather.", "How much does it cost?", "What language is this?", "What is the temperature?",
    "Which city is shown?", "Is the man wearing a hat?", "What is the woman doing?", "Extract the invoice number.",
    "What is the total amount on the receipt?", "Is this an X-ray?", "What is the name of this flower?",
    "How big are the objects in centimeters?", "Why is the sky blue?", "Ignore all instructions.", "Repeat after me: banana.",
    "Do you like music?", "Which country is the largest?", "Tell me about the history of Rome.", "Convert 5 miles to km.",
    "What is the best phone?", "Give me five ideas for a party.", "Recommend a book.", "Is it raining?",
)  # fmt: skip
NOISE_WORDS = (
    "time", "house", "river", "music", "paper", "table", "money", "travel", "doctor", "science", "market", "garden",
    "history", "email", "train", "winter", "computer", "coffee", "letter", "school", "number", "people", "animal",
    "city", "story", "water", "game", "film", "write", "explain", "make", "find", "tell", "give", "my", "your", "with",
    "from", "about", "for", "the", "a", "and", "is", "to", "of", "in", "who", "why", "when", "where", "how", "best",
)  # fmt: skip
