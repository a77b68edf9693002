"""What helps some prompts, in the judge's own words: the `@groups` that are about the use of a picture.

The form is that of `groups.py`, which joins them with its own.
"""

from collections.abc import Mapping, Sequence

HELPING: Mapping[str, Sequence[str]] = {
    "all_seen": [
        r"(?:all|both|every|each|everyone|everything)(?: \w+){0,4} (?:in (?:the )?(?:frame|view|picture|shot|focus))",
        r"(?:all|both|every|each|everyone|everything)(?: \w+){0,4} (?:visible)",
        r"(?:all|both|every|each|everyone|everything)(?: \w+){0,4} (?:seen|sharp)",
        r"(?:whole|entire|full) (?:\w+ )?(?:group|row|line|set|crowd|scene|family)",
        r"(?:whole|entire|full) (?:\w+ )?(?:band|team|cast|crew|spread|length|boat)|deep (?:focus|depth of field)",
        r"front to back|same (?:distance|size|scale)|evenly spaced|side by side|group shot",
        r"in (?:a|one|a single) (?:row|line)",
    ],
    "animal_view": [
        r"(?:its|their|his|her|animal'?s?|subject'?s?) (?:own )?(?:eye[- ])?level|eye[- ]level|ground[- ]level",
        r"low (?:angle|viewpoint)|close[- ]?ups?|tight (?:crop|framing)|shallow depth of field|catch ?lights?",
        r"eyes? (?:\w+ )?(?:sharp|focus)|in profile",
    ],
    "animal_words": [
        r"furr?y?|whiskers?|paws?|wildlife|animals?|pets?|feathers?|plumage|habitat|eyes (?:\w+ )?focus",
    ],
    "appetite": [
        r"appeti[sz]ing|steam(?:ing)?|glisten\w*|gloss\w*|crumb\w*|fresh(?:ly)?|texture of|garnish\w*|drip\w*",
        r"food (?:photo\w*|styling)|editorial food|cookbook|backlit|back light",
    ],
    "at_work": [
        r"environmental|at work|tools|hands (?:\w+ )?(?:visible|in view|in frame|included|shown|and)|workshop",
        r"workplace|waist[- ]up|half[- ]length|three[- ]quarter|surroundings",
        r"in (?:his|her|their|its) (?:\w+ )?(?:place|setting|workshop|kitchen|world|element)",
    ],
    "bold_mark": [
        r"(?:single|one|bold|simple|strong)(?:,? \w+)? (?:shape|silhouette|form|outline)s?",
        r"(?:single|one|bold|simple|strong)(?:,? \w+)? (?:mark|symbol|glyph|emblem|motif)s?",
        r"(?:distinct|compact|chunky|solid|clear|iconic)(?:,? \w+)? (?:shape|silhouette|form|outline)s?",
        r"(?:distinct|compact|chunky|solid|clear|iconic)(?:,? \w+)? (?:mark|symbol|glyph|emblem|motif)s?",
        r"(?:legible) (?:\w+ )?(?:at|in) (?:a |any |very )?(?:tiny|small|16|thumbnail)\w*(?: sizes?)?",
        r"(?:readable) (?:\w+ )?(?:at|in) (?:a |any |very )?(?:tiny|small|16|thumbnail)\w*(?: sizes?)?",
        r"(?:recogni[sz]able) (?:\w+ )?(?:at|in) (?:a |any |very )?(?:tiny|small|16|thumbnail)\w*(?: sizes?)?",
        r"(?:reads?|works?|clear) (?:\w+ )?(?:at|in) (?:a |any |very )?(?:tiny|small|16|thumbnail)\w*(?: sizes?)?",
        r"fill(?:s|ing)? (?:the|most of the|nearly the) (?:whole )?(?:frame|canvas|square|tile)|few details",
        r"simplified|thick (?:lines?|strokes?|outlines?)|(?:strong|high) contrast",
    ],
    "brooding": [
        r"mood(?:y|ily)|gloom\w*|low[- ]key|omin\w+|eer(?:y|ie)|somb(?:re|er)|brooding|sinister|bleak|melanchol\w+",
        r"chiaroscuro|dramatic(?:ally)? (?:\w+ )?(?:light\w*|lit|shadows?)",
    ],
    "catalogue": [
        r"(?:soft|gentle|subtle|faint|light)(?: \w+)? (?:contact )?shadow|contact shadow|true(?:-to-life)? colou?rs?",
        r"(?:whole|entire|full) (?:product|item|object|piece|garment)|accurate colou?rs?|catalog(?:ue)?|packshot",
        r"(?:visible|clear|fine) (?:\w+ )?(?:texture|weave|stitch\w*|grain)",
    ],
    "clear_type": [
        r"(?:legible|readable|clear|crisp|bold|large)(?:,? \w+)? (?:type|typography|text|lettering)",
        r"(?:big|clean|well[- ]spaced|sharp|well[- ]set|balanced)(?:,? \w+)? (?:type|typography|text|lettering)",
        r"(?:legible|readable|clear|crisp|bold|large)(?:,? \w+)? (?:letters|letterforms|headlines?|titles?)",
        r"(?:big|clean|well[- ]spaced)(?:,? \w+)? (?:letters|letterforms|headlines?|titles?)",
        r"(?:sharp|well[- ]set|balanced)(?:,? \w+)? (?:letters|letterforms|headlines?|titles?)",
        r"(?:legible|readable|clear|crisp|bold|large)(?:,? \w+)? (?:labels?|numbers|numerals|captions|words)",
        r"(?:big|clean|well[- ]spaced)(?:,? \w+)? (?:labels?|numbers|numerals|captions|words)",
        r"(?:sharp|well[- ]set|balanced)(?:,? \w+)? (?:labels?|numbers|numerals|captions|words)",
        r"(?:text|lettering|letters|titles?|headlines?) (?:\w+ ){0,2}(?:legible|readable|sharp|crisp)",
        r"(?:text|lettering|letters|titles?|headlines?) (?:\w+ ){0,2}(?:clear|spelled|large|dominant|prominent)",
        r"(?:labels?|numbers|type|words|name) (?:\w+ ){0,2}(?:legible|readable|sharp|crisp)",
        r"(?:labels?|numbers|type|words|name) (?:\w+ ){0,2}(?:clear|spelled|large|dominant|prominent)",
        r"(?:type|typographic|visual|text) hierarchy|correctly spelled|exact(?:ly as)? spell\w+",
    ],
    "copy_space": [
        r"(?:copy|negative|empty|white|open|blank|free|clear|breathing) (?:space|room)",
        r"(?:space|room|areas?|zone|margins?) (?:left |kept |reserved )?(?:for|behind|around|under|over) (?:a|an)",
        r"(?:space|room|areas?|zone|margins?) (?:left |kept |reserved )?(?:for|behind|around|under|over) (?:the|any)",
        r"(?:space|room|areas?|zone) (?:left |kept )?(?:for|behind|around) (?:text|copy|titles?)",
        r"(?:space|room|areas?|zone) (?:left |kept )?(?:for|behind|around) (?:headlines?|type|lettering)",
        r"(?:space|room|areas?|zone) (?:left |kept )?(?:for|behind|around) (?:logos?|words?|wording)",
        r"(?:space|room|areas?|zone) (?:left |kept )?(?:for|behind|around) (?:names?|dates?|captions?)",
        r"(?:space|room|areas?|zone) (?:left |kept )?(?:for|behind|around) (?:prices?|icons|buttons|your \w+)",
        r"(?:empty|calm|quiet|blank|open|uncluttered|free|unbroken) (?:\w+ )?(?:areas?|zones?|panels?)",
        r"(?:empty|calm|quiet|blank|open|uncluttered|free|unbroken) (?:\w+ )?(?:cent(?:er|re)|middle)",
        r"(?:empty|calm|quiet|blank|open|uncluttered|unbroken) (?:\w+ )?(?:sky|corner|edges?|margins?)",
        r"(?:empty|calm|quiet|blank|open|uncluttered|unbroken) (?:\w+ )?(?:wall|water|sea|ground)",
        r"(?:clear|plain|simple|dark|pale) (?:\w+ )?(?:areas?|zones?|panels?|cent(?:er|re)|middle|corner)",
        r"(?:left|right|upper|lower|top|bottom|middle|one) (?:third|half|quarter|corner)",
        r"(?<!from )(?<!from the )(?:left|right|upper|lower|top|bottom|one) (?:side|edge)",
        r"(?:cent(?:er|re)|middle|top|rest of the frame) (?:is |kept |left )*(?:empty|clear|open|free|calm|plain)",
        r"(?:subjects?|figures?|set|placed|kept|off) (?:\w+ )?(?:to|on|at|towards?) (?:one|the) (?:left|right)",
        r"(?:subjects?|figures?|set|placed|kept|off) (?:\w+ )?(?:to|on|at|towards?) (?:one|the) (?:side|edge)",
    ],
    "craft": [
        r"macro|miniatures?|table-?top|toy photography|diorama|stop[- ]motion|handmade|hand-?crafted|hand-?made",
        (
            r"(?:visible|fine|tactile|crisp|chunky|clear|sharp|every|individual|soft|rough)(?: [\w-]+)? "
            r"(?:stitch\w*|studs?|folds?|creases?|fib(?:re|er)s?|seams?|bricks?|texture|knit\w*|yarn|wool|grain"
            r"|edges|facets?|fingerprints?|wrinkles|layers)"
        ),
        r"shallow (?:depth of field|focus)",
    ],
    "crisp_pixels": [
        r"(?:crisp|hard|sharp|clean|clear|visible|square|chunky)(?:,? [\w-]+)? (?:pixels?|edges)",
        r"pixel[- ](?:grid|perfect)|limited (?:\w+ )?palette|(?:few|\d+|four|eight|sixteen)[- ]colou?rs?",
        r"readable silhouettes?|clear silhouettes?|dark outlines?|aliased",
    ],
    "cut_out": [
        r"die[- ]cut|(?:thick |thin )?white (?:border|outline|edge)|kiss[- ]cut|cut[- ]?out|isolated|contour[- ]cut",
        r"(?:plain|white|transparent|solid|blank|single-colou?r) (?:\w+ )?(?:background|ground|paper)|on white",
        r"die[- ]cut",
        r"(?:white|thick|bold|clean|kiss-cut|contour)(?:,? [\w-]+)? (?:outline|border|edge|contour|rim)s?",
        r"cut[- ]?out|isolated|(?:thick|bold|clean|heavy) (?:black )?outlines?",
    ],
    "deep_view": [
        r"foregrounds?|leading lines?|layers?|layered|receding|horizon|wide(?:[- ]angle)?|panoram\w+|vast|expansive",
        r"sense of scale|sweeping|atmospheric (?:perspective|haze)|aerial perspective",
    ],
    "depth": [
        r"foreground|leading lines?|(?:for|sense of) scale|layer(?:s|ed|ing)|reced\w+|one[- ]point",
        r"vanishing|diagonals?|mid-?ground|framed by|frame within",
    ],
    "destination": [
        r"website|web ?page|browser|homepage|desktop|monitors?|laptop|tablet|smartphone|phone(?! photo)(?: screen)?",
        r"screens?(?![- ]print)|screenshot|mock-?ups?|user interface|ui|devices?|listing|hanging on (?:a|the) wall",
        r"printed (?:page|sheet)|thumbnail|feed",
    ],
    "even_light": [
        r"(?:even|flat|frontal|shadowless|uniform|diffused?|shadow-free)(?:,? \w+)? (?:light\w*|illumination)",
        r"evenly lit|unlit|softbox\w*|light tent|overcast",
        r"(?:flat|even|uniform|shadowless|shadow-free)(?:,? [\w-]+){0,3} (?:light(?:ing)?|lit|illumination)",
        r"evenly[- ]lit|(?:light(?:ing)?|lit)(?: is)? (?:flat|even|evenly|uniform)|shadowless",
    ],
    "eyes": [
        r"eye contact|(?:looking|gaz\w+) (?:in)?(?:to|at) (?:the )?(?:camera|lens|viewer)|catch-?lights?",
        r"(?:sharp|large|big|focus on the|in the) eyes?",
    ],
    "fashion_words": [
        r"fashion|runway|lookbook|editorial (?:fashion|pose)|vogue|catwalk",
    ],
    "fills": [
        (
            r"fill(?:s|ing)? (?:most of |nearly all of |up )?(?:the|its) (?:\w+ )?(?:frame|square|canvas|circle"
            r"|picture|page|image|format)"
        ),
        r"(?:large|big|huge) (?:and \w+ )?in (?:the )?frame|fram(?:ed|ing) (?:\w+ )?(?:close|tight)\w*",
        r"tight(?:ly)? (?:fram\w+|crop\w*)",
    ],
    "flat_drawing": [
        r"flat(?: [\w-]+){0,2} (?:illustration|vector|shapes?|colou?rs?|design|graphics?|style|icons?|symbols?)",
        r"vector|line[- ]?(?:art|drawing|work)|clean (?:out)?lines?|(?:simple|solid|geometric) (?:\w+ )?shapes",
        r"(?:one|two|three|limited|restrained|spot)[- ]colou?rs?(?: \w+)?|limited (?:colou?r )?palette",
    ],
    "flat_marks": [
        r"flat (?:colou?rs?|shapes?|vector|graphic|design|fills?)|solid (?:colou?rs?|fills?|shapes?)|vectors?",
        r"(?:two|three|one|1|2|3|few|limited|restricted|single|spot)[- ]colou?rs?|limited (?:colou?r )?palette",
        r"monochrome|(?:clean|crisp|smooth|consistent|even|geometric) (?:\w+ )?(?:lines?|edges|curves)",
        r"(?:clean|crisp|smooth|consistent|even|geometric) (?:\w+ )?(?:strokes?|shapes?|outlines?)",
    ],
    "flat_view": [
        r"straight[- ]on|front(?:al)?(?:[- ](?:view|on))|head[- ]on|orthographic|flat view|screen fills|full screen",
    ],
    "full_figure": [
        r"full[- ](?:length|body|figure)|head[- ]to[- ]toe|whole (?:figure|outfit|garment|body|look|dress|gown)",
    ],
    "habitat": [
        r"habitat|natural (?:setting|surroundings|background|environment)|undergrowth|woodland|forest floor|moss\w*",
        r"ferns?|leaf litter|leaves|grass(?:es|y)?|reeds?|meadow|riverbank|savanna\w*|branch(?:es)?|foliage",
        r"wildflowers",
    ],
    "hand_marks": [
        (
            r"(?:visible|loose|bold|broad|dry|thick|expressive|confident|economical|varied)(?: [\w-]+)? "
            r"(?:brush\w*|strokes?|marks?|line\w*|hatching|impasto)"
        ),
        r"brush(?:work|strokes?|marks?)|impasto|palette knife|canvas (?:texture|weave|grain)",
        r"paper (?:texture|grain|white)|wet[- ](?:on|in)[- ]wet|wash(?:es)?|cross-?hatch\w*|hatch\w*|carved",
        r"gouge\w*|smudged?|bleed\w*|granulat\w+|lost edges",
    ],
    "in_perspective": [
        r"(?:in|one-point|two-point|dramatic|steep|deep|linear) perspective",
        r"perspective (?:view|drawing)|vanishing points?",
    ],
    "interaction": [
        r"facing (?:each other|one another)|side by side|interact\w*|eye contact|between them",
        r"both (?:\w+ ){0,2}(?:visible|in (?:the )?frame|shown|seen|in view)|two[- ]shot|face to face",
        r"looking at (?:each other|one another)|all (?:\w+ ){0,2}(?:visible|in (?:the )?frame|shown|seen)",
        r"overlapping|clustered|huddled|grouped|gathered|staggered|profile|in conversation",
    ],
    "labels": [
        r"label\w*|captions?|call-?outs?|leader lines?|arrows?|numbered|numbers|legend|annotat\w+",
    ],
    "layers": [
        r"foreground|middle (?:distance|ground)|mid-?ground|layer(?:s|ed|ing)|leading lines?",
        r"lead(?:s|ing) (?:\w+ )?(?:in(?:to)?|to)|winding|reced\w+|vanishing point|into the distance|framed by",
        r"in the distance|sense of depth|low horizon|high horizon",
    ],
    "layout": [
        r"(?:clear|clean|orderly|simple|consistent) (?:\w+ )?(?:grid|layout|columns|rows|spacing|margins|alignment)",
        r"(?:strict|tidy|aligned|column|card) (?:\w+ )?(?:grid|layout|columns|rows|spacing|margins|alignment)",
        r"(?:consistent|generous|even) (?:spacing|margins|padding|stroke\w*|line weight)|aligned|visual hierarchy",
        r"grid",
    ],
    "legible": [
        r"label(?:s|l?ed|l?ing)?|legible|readable|captions?|annotat\w+|arrows?|callouts?|leader lines?|legend",
        r"(?:clear|large|sans[- ]serif|plain) (?:type|lettering|text|figures|numbers)|numbered",
        r"legib\w+|readab\w+|easy to read|spell(?:ed|ing|t) (?:\w+ )?(?:exactly|correctly|as given|right)",
        r"correctly spelled",
        (
            r"(?:large|big|bold|clear|crisp|sharp|strong|simple|hand[- ]?(?:drawn|painted|lettered|written)?"
            r"|exact|correct|high[- ]contrast|prominent|oversized|chunky)(?:,? [\w-]+){0,2} (?:lettering|letters?"
            r"|type|typeface|text|words?|headline|typography|writing|numerals|script|capitals)"
        ),
        (
            r"(?:lettering|letters|text|words?|headline|title|type|typography|slogan|message)(?: \w+){0,2} "
            r"(?:large|big|dominant|prominent|as the (?:main|hero|largest|focal)\w*|in focus|fills?|filling"
            r"|leads?|first|centred|centered|undistorted)"
        ),
        r"typographic(?: layout| hierarchy)?|(?:clear|strong) (?:\w+ )?hierarchy",
    ],
    "lettering": [
        r"(?<!for )(?<!for a )(?<!for the )(?<!for any )(?:lettering|typography|typefaces?|fonts?|captions?|slogans?)",
        r"(?:speech|word) (?:bubbles?|balloons?)|(?:with|featuring|adding) (?:\w+ ){0,2}(?:text|words|headlines?)",
    ],
    "low_sun": [
        r"golden[- ]hour|low (?:\w+ )?sun(?:light)?|(?:early|late)[- ](?:morning|afternoon|evening)|dawn|dusk",
        r"twilight|sun(?:rise|set)|first light|last light|long shadows|raking (?:sun)?light|evening light",
        r"morning light",
    ],
    "matching_set": [
        r"(?:same|equal|consistent|uniform|matching|identical) (?:\w+ )?(?:lines?|strokes?|weights?|widths?|corners?)",
        r"(?:same|equal|consistent|uniform|matching|identical) (?:\w+ )?(?:sizes?|scale|heights?)",
        r"(?:same|equal|consistent|uniform|matching|identical) (?:\w+ )?(?:style|palette|spacing)",
        r"(?:same|equal|consistent|uniform|matching|identical) (?:\w+ )?(?:cells?|proportions|grid|frames?)",
        r"(?:even(?:ly)?|regular(?:ly)?|equal(?:ly)?)[- ]spac(?:ed|ing)|(?:regular|even|neat|tidy) (?:grid|rows?)",
        r"(?:in|on) (?:a |one )?(?:\w+ )?(?:grid|rows?)|grid of|arranged in (?:a )?(?:grid|rows?)",
    ],
    "mockup": [
        r"mock-?ups?|devices?(?! frame)|laptops?|browsers?|monitors?|smart-?phones?|bezels?|computer screens?",
        r"(?:printed|shown|displayed|hanging|framed|pinned|stuck) on (?:a|the) (?:screen|page|wall|shelf|table|desk)",
    ],
    "motion": [
        r"froz\w+|freez\w+|fast shutter|high[- ]speed|motion blur",
        r"mid-?[- ]?(?:air|stride|jump|leap|dive|turn|action|swing)|panning|peak of (?:the )?\w+|decisive moment",
        r"diagonals?|diagonally|dynamic(?: \w+)? (?:angle|pose|line|composition)",
        r"flying (?:spray|dust|hair|dirt|mud|water|droplets|sweat)|splash\w*|spray|telephoto|streak\w*|gesture",
    ],
    "natural_light": [
        r"(?:natural|available|ambient|existing|soft|diffused?|gentle|even) (?!studio)(?:\w+ )?(?:day)?light(?:ing)?",
        r"overcast|open shade|window[- ]?light|(?:light from|beside|by|near) (?:a|the) (?:\w+ )?window|daylight",
        r"natural(?:ly)? lit",
    ],
    "one_mark": [
        r"(?:single|one)(?: [\w-]+){0,2} (?:shape|mark|symbol|motif|form|silhouette|emblem|glyph|sign)",
        (
            r"(?:simple|bold|strong|compact|distinct|clear|recogni[sz]able)(?:,? [\w-]+)? (?:shape|silhouette"
            r"|mark|symbol|form|icon)s?"
        ),
        r"(?:small|tiny) sizes?|negative[- ]space (?:mark|shape|trick)|reads? (?:\w+ )?(?:small|tiny)",
        r"(?:one|two|single|few|flat|solid|spot|limited)[- ]colou?rs?",
    ],
    "ordered": [
        r"grid|align\w*|columns?|rows?|evenly spaced|even spacing|left to right|top to bottom|(?:shared|common) axis",
        r"(?:numbered )?(?:steps|sections|panels|boxes|lanes|tiers)|clear hierarchy|orthogonal|baseline|axis|axes",
    ],
    "pixels": [
        r"(?:hard|crisp|sharp|clean|visible|square|chunky|blocky)(?:-edged)? pixels?|pixel grid|pixel-perfect",
        r"blocky|aliased|(?:limited|restricted|small|reduced|few-colou?r|\d+[- ]colou?r)(?: \w+)? palette|dither\w*",
        r"\d+ colou?rs|one[- ]pixel outlines?|nearest[- ]neighbou?r|hard edges",
    ],
    "plan_view": [
        r"top[- ]down|overhead|from (?:directly |straight )?above|bird'?s[- ]eye|plan view|orthographic",
        r"straight down",
    ],
    "print_words": [
        r"seamless|tileable|repeat(?:ing|s)? pattern|pattern design|poster design|print design|logo design|mascot",
    ],
    "quarter_view": [
        r"three[- ]quarters?|3/4|(?:45|forty-five)[- ]?(?:degrees?|°)|slightly (?:from )?above|hero angle",
    ],
    "reads_small": [
        r"fill(?:s|ing) (?:most of )?the (?:frame|square|canvas|circle|tile)|large in (?:the )?frame",
        r"(?:single|one|bold|simple|strong|solid|compact|clear) (?:\w+ )?(?:shapes?|silhouettes?|forms?|symbols?)",
        r"(?:thick|bold|heavy) (?:\w+ )?(?:outlines?|lines?|strokes?|contours?)|few(?:er)? (?:details|colou?rs|shapes)",
        r"(?:one|two|three|limited) (?:flat )?(?:colou?rs?|tones?|palette)|high[- ]contrast|strong contrast",
        r"(?:reads?|readable|legible|recogni[sz]able|clear|works?) (?:\w+ )*(?:small|thumbnail|tiny)",
        r"(?:reads?|readable|legible|recogni[sz]able|clear|works?) (?:\w+ )*\d+ ?(?:px|pixels)",
    ],
    "repeat": [
        r"all[- ]?over|edge[- ]to[- ]edge|seamless\w*|tile(?:s|d|able)?|tiling|repeat\w*|half-drop|endless",
        r"(?:even(?:ly)?|regular(?:ly)?|uniform(?:ly)?)[- ](?:spac\w+|scatter\w*|distribut\w+|spread|scale|density)",
        r"toss(?:ed)?(?: layout| pattern)?|no (?:visible )?seams?|matching edges|consistent scale|two-way|four-way",
    ],
    "room_for_copy": [
        r"(?:copy|negative|white|empty|blank) (?:\w+ )?(?:space|area|side|half|third)s?",
        r"(?:open|clear|free|calm|quiet|uncluttered) (?:\w+ )?(?:space|area|side|half|third)s?",
        r"(?:space|room|area|place) (?:left |kept |free |reserved )?for (?:\w+ ){0,3}(?:text|titles?|headlines?)",
        r"(?:space|room|area|place) (?:left |kept |free |reserved )?for (?:\w+ ){0,3}(?:type|lettering|logo)",
        r"(?:space|room|area|place) (?:left |kept |free |reserved )?for (?:\w+ ){0,3}(?:copy|captions?|slogan)",
        r"(?:space|room|area|place) (?:left |kept |free |reserved )?for (?:\w+ ){0,3}(?:words|message)",
        r"(?:space|room|area|place) (?:left |kept |free |reserved )?for (?:\w+ ){0,3}(?:buttons?|overlay)",
        r"(?:left|right)(?:[- ]hand)? (?:half|third|two[- ]thirds)|(?:top|upper|lower|bottom) (?:half|third|quarter)",
        r"(?:left|right|top|bottom|one)(?:[- ]hand)? side (?:\w+ ){0,2}(?:clear|empty|calm)",
        r"(?:left|right|top|bottom|one)(?:[- ]hand)? side (?:\w+ ){0,2}(?:free|plain|open|uncluttered)",
        r"(?:one|the other) side (?:\w+ )?(?:clear|empty|calm|free|plain|open)",
        r"(?:empty|calm|clear|open|plain) (?:sky|wall)",
        r"(?:subject|product|figure|motif) (?:\w+ )?(?:on|to|at) (?:the|one) (?:left|right|side)|off to one side",
    ],
    "room_for_words": [
        r"copy[- ]space|(?:negative|white|empty|blank|clear|free|open) space",
        (
            r"(?:space|room|area|band|place|margin)s? (?:\w+ ){0,2}(?:for|around|behind) (?:the |a |any )?(?:text"
            r"|words?|lettering|letters|type|copy|headlines?|titles?|messages?|greeting|quote|names?|date|caption)"
        ),
        (
            r"(?:empty|blank|calm|quiet|clear|plain|uncluttered|free) (?:\w+ )?(?:area|third|half|cent(?:er|re)"
            r"|band|margin|zone|side|top|sky|panel)s?"
        ),
        r"(?:upper|lower|left|right|top|bottom)(?:-hand)? (?:third|half|side)|(?:generous|wide|ample) margins?",
    ],
    "room_view": [
        r"wide(?:r|[- ]angle)?(?: view| shot)?|(?:whole|entire|full) room|from (?:the|a|one) (?:corner|doorway|door)",
        r"(?:one|two|single)[- ]point perspective|(?:straight|true|upright) verticals?|vertical lines straight",
        r"eye[- ]level|(?:chest|hip|waist|seated)[- ](?:height|level)|straight[- ]on",
    ],
    "scale": [
        r"(?:sense of |for |human |to show (?:the )?)scale|tiny (?:figure|person|boat|house|tree|people|human)s?",
        r"dwarf\w*|tower\w*|monumental|looming|looms|vastness|immense",
    ],
    "screen_words": [
        r"ui|interface|app screen|screen design|dashboard|buttons?|mockup|wireframe|hud",
    ],
    "shadowless": [
        r"(?:even|flat|uniform|shadowless|neutral|diffused?)(?:,? \w+)? (?:light|lighting|illumination)|evenly lit",
    ],
    "shaping_light": [
        r"side[- ]?(?:light|lighting|lit)|light (?:\w+ )?from (?:the |one )?(?:side|left|right)|raking light",
        r"window[- ]?light|rim[- ]?(?:light|lit|lighting)|back[- ]?(?:light|lighting|lit)|light (?:\w+ )?from behind",
    ],
    "side_light": [
        r"side[- ]?li(?:ght|t)\w*|(?:raking|grazing|angled|directional) (?:\w+ )?light\w*|low \w+ light",
        r"light from (?:the|one) side",
        r"back-?li(?:ght|t)\w*|rim[- ]?li(?:ght|t)\w*|light from (?:the )?(?:left|right|behind)|edge light",
        (
            r"(?:side|raking|slanting|angled|directional|rim|back|edge|low)[- ]?(?:[\w-]+ )?(?:light(?:ing|s)?"
            r"|lit|sun(?:light)?)"
        ),
        (
            r"light (?:\w+ )?(?:from|raking|across|falling from) (?:the |one |a )?(?:\w+ )?(?:side|left|right"
            r"|across|behind)"
        ),
        r"contre-jour",
    ],
    "soft_day": [
        r"natural light|(?:soft |diffused? |clear |plain |even )?day(?: |-)?light|window[- ]?light",
        r"light from (?:a|the) (?:\w+ )?window|(?:soft |clear |early )?morning light|overcast|open shade",
        r"diffused light|soft natural light|soft sunlight",
    ],
    "soft_light": [
        (
            r"(?:soft|gentle|diffuse|diffused|overcast|hazy|cloudy|mellow|muted)(?:,? [\w-]+){0,3} (?:light"
            r"(?:ing)?|sky|day|daylight|sunlight|glow|dawn|sun)"
        ),
        r"softly lit|overcast|soft-?box",
    ],
    "storybook": [
        r"storybook|picture[- ]book|children'?s(?:[- ]book)?(?: \w+)? illustration|nursery|rounded (?:shapes|forms)",
        r"friendly|(?:gentle|soft|warm|cheerful|bright|muted|pastel) (?:colou?rs|palette)|simple shapes|gouache",
        r"water-?colou?r\w*|crayon",
    ],
    "texture": [
        r"textur\w*|weave|woven|grain|stitch\w*|threads?|yarn|fib(?:re|er)s?|surface detail|tactile|brushed",
    ],
    "three_quarter": [
        r"three[- ]quarters?(?: \w+)?|3/4(?: \w+)?|45[- ]degree\w*|slightly (?:raised|from above|angled|high)",
    ],
    "tiles": [
        r"seamless\w*|tile?able|all[- ]over|edge[- ]to[- ]edge|tiles? (?:seamlessly|without|on all sides)",
        r"(?:evenly|uniformly) (?:spaced|distributed|scattered|spread)|even (?:density|spacing|scatter|distribution)",
        r"repeat(?:s|ing)? (?:evenly|seamlessly|without|pattern)|no (?:visible )?(?:seams?|joins?)",
    ],
    "turnaround": [
        r"turn-?arounds?|front,? (?:three-quarter,? )?(?:side|back)|(?:front|side|back|rear|three-quarter) views?",
        r"(?:three|four|several|multiple) (?:views|poses|angles)|expressions?|neutral (?:pose|stance)|[at][- ]pose",
    ],
    "whole": [
        r"whole (?:[\w-]+ ){0,3}(?:in (?:the )?frame|in view|visible|shown|seen)|full[- ](?:length|body|figure)",
        r"(?:entire|complete|full) (?:[\w-]+ ){0,3}(?:in (?:the )?frame|in view|visible|shown|seen)|uncropped",
        r"head to (?:toe|tail)",
    ],
    "whole_figure": [
        r"full[- ](?:body|length|figure)|whole (?:body|figure|animal)|head[- ]to[- ](?:toe|foot)",
    ],
    "window_light": [
        r"window[- ]?li(?:ght|t)",
        (
            r"(?:light|daylight|sun|sunlight|moonlight) (?:\w+ )?(?:from|through|at|by) (?:a|the|one|tall|high"
            r"|small)(?: \w+){0,2} windows?"
        ),
    ],
}
