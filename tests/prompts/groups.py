"""The judge's own words: what each `@group` of a judged prompt covers, apart from the vocabulary that is judged.

Each entry is a word, a phrase or a short regular expression, matched on whole words whatever their case.
"""

from collections.abc import Mapping, Sequence

from tests.prompts.helping import HELPING

TRAITS: Mapping[str, Sequence[str]] = {
    "photo": [
        r"photo(?:s|graph\w*|[- ]?real\w*)?",
        r"bokeh|lens(?:es)?|dslr|aperture|shutter|exposure|snapshot|polaroid|headshot",
        r"\d{2,3} ?mm|f/\d[\d.]*",
        r"(?<!deep )depth of field|film (?:still|grain|stock)|camera(?! (?:angle|view))",
        r"(?:product|studio|press|stock) shot",
    ],
    "drawn": [
        r"illustrat\w+|paint(?:ed|ing|ings|erly)|(?:hand[- ])?drawn|drawings?|sketch\w*|cartoon\w*",
        r"(?:digital|concept|storybook|picture[- ]book|comic|fan) art|storybook|picture[- ]book|comics?|anime|manga",
        r"water-?colou?rs?|gouache|pastels|crayons?|charcoal|pencils?|ink(?: wash)?|acrylics?|woodcut|engraving",
        r"brush(?:work|strokes?)|cel[- ]shad\w+|fresco|impressionist\w*",
    ],
    "vector": [
        r"flat(?!(?: |-)lays?\b|,? (?:even |soft |frontal |front )?light)|vectors?",
        r"line(?: |-)?art|line (?:drawing|icon|work)|line-drawn|clip[- ]?art|outlined?|icons?|glyph",
        r"(?:geometric|solid|simple) shapes",
    ],
    "daylight": [
        r"day(?: |-)?light|daytime|broad day|sun(?:ny|light|lit|shine|beams?|rise|set|[- ]drenched|[- ]dappled)?",
        r"golden[- ]hour|mornings?|afternoon|noon|midday|dawn|blue sk(?:y|ies)",
        r"natural(?:ly)? (?:light|lighting|lit)|window[- ]?light|window-lit|light from (?:a|the) (?:\w+ )?window",
    ],
    "night": [
        r"night(?:s|fall|time)?|midnight|nocturnal|moon(?:s|lit|light|rise)?",
        r"stars|starry|star(?:light|lit)|milky way",
    ],
    "sun": [r"sun(?:ny|light|lit|shine|beams?|[- ]rays?|[- ]drenched|[- ]dappled)?|golden[- ]hour|dappled"],
    "gloom": [
        r"mood(?:y|ily)|gloom\w*|low[- ]key|dark(?:ened|ness)?(?! (?:out)?lines?)|dim(?:ly)?|noir|chiaroscuro",
        r"(?:dramatic|deep|heavy|strong|brooding|looming) (?:\w+ )?shadows?",
        r"dramatic(?:ally)? (?:\w+ )?(?:light\w*|lit)",
        r"omin\w+|eer(?:y|ie)|somb(?:re|er)|brooding|sinister|stormy|bleak|melanchol\w+|shadowy",
    ],
    "cheer": [
        r"cheer(?:y|ful|fully)|playful\w*|joy(?:ful|ous)?|happy|fun|whimsical|jolly|merry|lively|festive|upbeat",
        r"bright(?:,| and)? (?:colou?rs|airy)|candy[- ]colou?red",
    ],
    "indoors": [
        r"indoors?|interior|windows?|window-?li(?:ght|t)|studio|soft-?box(?:es)?|fluorescent|fireplace|in a room",
        r"(?<!street )(?<!street-)lamp(?:s|light|lit)?|ceiling lights?|(?:living|dining|bed)[- ]?room",
    ],
    "studio": [
        r"studio|soft-?box(?:es)?|backdrop|seamless (?:paper|background)|key light|ring light|beauty dish|strobes?",
        r"three-point light(?:ing)?",
    ],
    "outdoors": [
        r"outdoors?|outside|sk(?:y|ies)|horizon|open[- ]air|landscape(?! (?:format|orientation))|vista|scenery",
        r"overcast|meadow|garden|mountains?|(?:open|grassy|wheat) fields?|street(?:light|lamp)?s?|alfresco",
    ],
    "colour": [
        r"vivid(?:ly)?|vibran(?:t|cy)|(?:multi)?colou?rful|multicolou?red|saturated|rainbow|pastels?",
        r"(?:bright|warm|rich|bold|cheerful|neon|lively|strong|primary|jewel|earthy?|cool) (?:colou?rs?|tones|hues)",
        r"(?:warm|bright|rich|bold|lively|autumn\w*|earthy?) (?:colou?r )?palette|in (?:full )?colou?r|full[- ]colou?r",
        r"(?:earth|skin|autumn\w*) tones|teal and orange",
    ],
    "close": [
        r"close[- ]?ups?|up close|macro|tight(?:ly)?|head[- ]and[- ]shoulders|headshot|detail shot|bust",
        r"clos(?:e|er|ely) (?:view|fram\w+|crop\w*|shot|angle|in|on)",
    ],
    "wide": [
        r"wide(?:st|r|screen|-angle)?(?! (?:margins?|aperture))|panoram\w+|establishing|sweeping|expansive|vast",
        r"long shot|horizontal(?:ly)?|landscape (?:format|orientation)|distant (?:view|shot)|from afar",
    ],
    "tall": [r"vertical(?:ly)?|tall|portrait (?:format|orientation)|upright"],
    "high_view": [
        r"aerial|overhead(?! (?:lights?|lamps?|lighting|sun|softbox))|flat(?: |-)?lay|drone|looking down",
        r"bird'?s[- ]eye|top[- ]down|top view|high[- ]angle|high (?:viewpoint|vantage|view|camera)",
        r"(?<!light )(?<!lighting )(?<!lit )from (?:\w+ )?above",
    ],
    "low_view": [
        r"low[- ]angle|low (?:\w+ )?(?:angle|viewpoint|view|vantage|camera|perspective)|worm'?s[- ]eye|ground[- ]level",
        r"looking up|upward view|(?<!light )(?<!lighting )(?<!lit )from (?:\w+ )?below|from (?:the ground|a low)",
    ],
    "level_view": [
        r"(?<!above )(?<!below )eye[- ]level|straight[- ]on|head[- ]on|front(?:al)?(?:[- ](?:view|on))",
        r"side[- ](?:view|on)|level view",
    ],
    "centred": [r"(?<!off-)(?<!off )cent(?:er|re)e?d|centrally?|symmetr\w+|dead[- ]cent(?:er|re)|in the cent(?:er|re)"],
    "off_centre": [r"rule of thirds|on the thirds|off[- ]cent(?:er|re)(?:e?d)?|asymmetr\w+|to one side"],
    "person": [
        r"portrait(?:s|ure)?(?! (?:format|orientation))|head[- ]and[- ]shoulders|headshot|faces?|facial|half[- ]length",
        r"waist[- ]up|bust|skin tones|people|persons?|m[ae]n|wom[ae]n|models?|human|(?:human )?figures?",
    ],
    "one": [
        r"single(?! (?:clear )?(?:focus|focal|light|source|point|soft|key))|one (?:\w+ )?(?:subject|figure|object)",
        r"lone|solitary|alone|isolated",
    ],
    "many": [
        r"many|several|multiple|groups?|crowd(?:s|ed)?|everyone|pairs?|rows of|pattern of|repeat(?:ing|ed)",
    ],
    "background_plain": [
        r"(?:plain|clean|white|simple|neutral|solid|seamless|empty|blank|studio)(?:,? [\w-]+)? (?:background|backdrop)",
        r"(?:uncluttered|minimal|gr[ea]y|black|dark|pale|light|uniform|transparent)(?:,? [\w-]+)? background",
        r"single-colou?r background|on (?:plain )?white|seamless paper|no background|cut[- ]?out background",
    ],
    "background_scene": [
        r"(?:blurred|soft|out-of-focus|natural|lush|detailed|scenic|outdoor|city|urban|forest)(?: [\w-]+)? background",
        r"background (?:of|with)|backdrop of|scen(?:e|es|ery|ic)|landscape(?! (?:format|orientation))|horizon|sky",
        r"foreground|(?:in|into) the distance|environment(?:al)?|surroundings|in context|setting|establishing",
    ],
    "scene_light": [
        r"(?<!flat )(?<!even )(?<!even soft )(?<!shadowless )(?<!studio )light(?:ing)?(?! (?:gr|blue|col|tone|back))",
        r"(?:day|sun|moon|star|candle|lamp|fire|window|back|rim|spot)[- ]?li(?:ght|ghts|ghting|t)",
        r"sun(?:ny|shine|beams?)?|windows?|golden[- ]hour|sun(?:rise|set)|glow(?:ing)?|overcast|chiaroscuro|low[- ]key",
    ],
    "shadow": [r"shadow(?:s|y|ed)?(?!-)|chiaroscuro|low[- ]key"],
    "blur": [
        r"bokeh|soft[- ]focus|blur\w*|out[- ]of[- ]focus|wide aperture|tilt-shift|shallow depth|shallow focus",
        r"(?<!deep )(?<!great )depth of field",
    ],
    "sharp": [
        r"sharp(?:ly|ened|ness)?|crisp(?:ly)?|tack-sharp|(?<!out of )(?<!out-of-)in focus",
        r"deep (?:focus|depth of field)|[48]k|(?:high|ultra)[- ](?:resolution|definition)",
    ],
    "clean": [
        r"clean|minimal\w*|uncluttered|simple|plain|sparse|tidy|neat|pared[- ]back",
        r"(?:white|negative|empty) space|generous (?:spacing|margins)",
    ],
    "busy": [
        r"intricate\w*|(?:highly )?detailed|ornate|busy|elaborate|cluttered|dense|complex|baroque|lavish|packed",
        r"maximalist|(?:rich|fine|much|lots of) details?",
    ],
    "no_text": [
        r"(?:no|without|free of|avoid)(?: \w+)? (?:text|lettering|letters|words|writing|captions?|labels?|typography)",
        r"text[- ]?(?:free|less)|wordless",
    ],
    "modern": [r"modern\w*|contemporary|futuris\w+|sleek|high-tech|hi-tech|cutting-edge|led"],
    "vintage": [
        r"vintage|retro|antiqued?|nostalgi\w+|old[- ](?:fashioned|time)|sepia|faded|aged|mid-century|victorian",
        r"polaroid|film grain|(?:18|19)\d0s|daguerreotype|kodachrome",
    ],
    "soft": [r"soft(?:ly|er|box)?|gentl[ey]|diffused?|delicate|mellow|dreamy|tender|hazy"],
    "hard": [
        r"hard(?:-edged)?|harsh\w*|stark|gritty|high[- ]contrast|direct flash",
        r"(?:crisp|strong|sharp) (?:\w+ )?(?:shadows?|contrast)",
    ],
    "warm": [r"warm\w*|golden|amber|co[sz]y|candle\w*|fire ?li(?:ght|t)|tungsten|honeyed|sun(?:set|rise)|orange glow"],
    "cold": [r"cold|cool(?:er)?|icy|frosty|chilly|wintry|bluish|blue (?:hour|light|tones?|glow|tint)|steel[- ]blue"],
    "3d": [r"3-?d|three-dimensional|render(?:s|ed|ing)?(?! in)|cgi|low[- ]poly|octane|unreal engine|clay\w*|voxels?"],
}
"""What can be said of a picture; most prompts are spoiled by some of it."""

GROUPS: Mapping[str, Sequence[str]] = {**TRAITS, **HELPING}
"""Every group that a judged prompt may name, both in `helps` and in `never`."""
