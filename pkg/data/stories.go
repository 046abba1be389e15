package data

import (
	"math"
	"math/rand/v2"
	"strings"
)

// Stories generates about size bytes of little stories, seeded. Every choice of
// the grammar shows in the text at the place where it is made, so a text has
// one derivation only, and minus the logarithm of its probability is the sum
// over its choices: the returned entropies, in nats, one a story. No model can
// predict the stories better than that on average.
func Stories(size int, seed uint64) (stories []string, nats []float64) {
	g := &grammar{rng: rand.New(rand.NewPCG(seed, 0x53746f72696573))}
	for n := 0; n < size; {
		g.out.Reset()
		g.nats = 0
		g.story()
		stories = append(stories, g.out.String())
		nats = append(nats, g.nats)
		n += g.out.Len()
	}
	return stories, nats
}

// grammar writes one story at a time and adds up what its choices cost.
type grammar struct {
	rng  *rand.Rand
	out  strings.Builder
	nats float64
}

// choose draws one of n alternatives, all equally likely.
func (g *grammar) choose(n int) int {
	g.nats += math.Log(float64(n))
	return g.rng.IntN(n)
}

func (g *grammar) of(list []string) string { return list[g.choose(len(list))] }

// chance draws true with probability p.
func (g *grammar) chance(p float64) bool {
	yes := g.rng.Float64() < p
	if yes {
		g.nats -= math.Log(p)
	} else {
		g.nats -= math.Log(1 - p)
	}
	return yes
}

// other draws one of the list that is not among the used ones.
func (g *grammar) other(list []string, used ...string) string {
	left := make([]string, 0, len(list))
	for _, s := range list {
		keep := true
		for _, u := range used {
			keep = keep && s != u
		}
		if keep {
			left = append(left, s)
		}
	}
	return g.of(left)
}

func (g *grammar) say(parts ...string) {
	for _, p := range parts {
		g.out.WriteString(p)
	}
}

type person struct{ name, kind, he, his, him string }

var (
	girls   = []string{"Anna", "Mia", "Lucy", "Nora", "Ella", "Rose", "Ruth", "Ivy"}
	boys    = []string{"Tom", "Ben", "Max", "Leo", "Sam", "Finn", "Hugo", "Otto"}
	kinds   = []string{"fox", "bear", "mouse", "hare", "owl", "cat", "dog", "frog", "goose", "wolf", "badger", "hedgehog"}
	moods   = []string{"small", "clever", "lazy", "brave", "quiet", "curious", "hungry", "old", "young", "proud"}
	homes   = []string{"in the forest", "by the river", "on the hill", "near the mill", "under a bridge", "in a garden"}
	things  = []string{"key", "lamp", "coin", "book", "bell", "drum", "ring", "kite", "map", "spoon", "apple", "shell"}
	looks   = []string{"red", "golden", "broken", "heavy", "tiny", "shiny", "blue", "strange"}
	spots   = []string{"box", "basket", "chest", "drawer", "barrel", "bag", "jar"}
	seasons = []string{"One spring morning", "One summer evening", "One cold winter day", "One windy autumn night", "One day"}
	weather = []string{"The sun was shining", "It was raining", "Snow was falling", "A storm was coming", "The moon was bright"}
	foods   = []string{"bread", "cheese", "soup", "honey", "cake", "berries"}
	numbers = []string{"two", "three", "four", "five", "six"}
)

// plural is the plural of a noun of the lists above.
func plural(noun string) string {
	switch noun {
	case "mouse":
		return "mice"
	case "goose":
		return "geese"
	case "wolf":
		return "wolves"
	case "fox", "box":
		return noun + "es"
	}
	return noun + "s"
}

func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

func (g *grammar) person(used ...string) person {
	if g.chance(0.5) {
		return person{g.other(girls, used...), g.of(kinds), "she", "her", "her"}
	}
	return person{g.other(boys, used...), g.of(kinds), "he", "his", "him"}
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// story is an opening, two to five scenes in which a thing is found, carried,
// hidden or given away, and questions whose answers the story has told.
func (g *grammar) story() {
	hero := g.person()
	g.say(hero.name, " was ", article(g.of(moods)+" "+hero.kind), " who lived ", g.of(homes), ". ")
	friend := g.person(hero.name)
	g.say(title(hero.his), " best friend was ", friend.name, " the ", friend.kind, ".\n")
	g.say(g.of(seasons), ", ", hero.name, " found ", article(g.of(looks)+" "))
	thing := g.of(things)
	g.say(thing, ". ")
	if g.chance(0.4) {
		g.say(g.of(weather), ". ")
	}
	holder, spot := hero, ""
	for scene := 0; ; scene++ {
		holder, spot = g.scene(hero, friend, holder, thing, spot)
		if scene == 4 || scene >= 1 && !g.chance(0.6) {
			break
		}
	}
	g.say("\nWho had the ", thing, " in the end? ", holder.name, " the ", holder.kind, " did.")
	if spot != "" {
		g.say(" Where was it? It was in the ", spot, ".")
	}
	g.say("\n\n")
}

// scene moves the thing and returns who has it now, and where.
func (g *grammar) scene(hero, friend, holder person, thing, spot string) (person, string) {
	giver, taker := hero, friend
	if holder.name == friend.name {
		giver, taker = friend, hero
	}
	switch g.choose(5) {
	case 0:
		g.say(giver.name, " put the ", thing, " in ", giver.his, " ")
		spot = g.other(spots, spot)
		g.say(spot, ". ")
		return giver, spot
	case 1:
		g.say("\"Please give me the ", thing, ",\" said ", taker.name, ". So ", giver.name, " gave it to ", taker.him, ". ")
		return taker, ""
	case 2:
		n, kind := g.of(numbers), g.other(kinds, hero.kind, friend.kind)
		g.say("Then ", n, " ", plural(kind), " came by. They were ", g.of(moods), " and wanted ", g.of(foods), ", so ", giver.name, " sent them away. ")
		return holder, spot
	case 3:
		g.say(taker.name, " the ", taker.kind, " came to visit, and they ate ", g.of(foods), " together. ")
		return holder, spot
	}
	g.say("The next day ", giver.name, " took the ", thing, " to the ")
	g.say(g.of([]string{"market", "lake", "school", "castle", "farm"}), " and showed it to ")
	kind := g.other(kinds, hero.kind, friend.kind)
	if g.chance(0.5) {
		g.say(article(kind), ". The ", kind, " was ", g.of(moods), ". ")
	} else {
		g.say("the ", plural(kind), ". The ", plural(kind), " were ", g.of(moods), ". ")
	}
	return giver, ""
}
