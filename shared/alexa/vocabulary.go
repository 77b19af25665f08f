package alexa

import (
	"slices"
	"strings"
)

// vocabulary holds the words that nearly every event is made of, so that they
// are not copied out of each: what an interface or a property is called, and the
// causes.
var vocabulary = func() map[string]string {
	words := make(map[string]string)
	add := func(list ...string) {
		for _, word := range list {
			words[word] = word
		}
	}
	for _, kind := range kinds {
		add(kind.Namespace, kind.Name, kind.Version)
	}
	for namespace, properties := range valueShapes {
		add(namespace)
		for name := range properties {
			add(name)
		}
	}
	add(causes...)
	return words
}()

// shared is string(text), without a copy if it is a word of the vocabulary.
func shared(text []byte) string {
	if word, ok := vocabulary[string(text)]; ok {
		return word
	}
	return string(text)
}

// Nearest returns the word of a list that name is nearly, so that somebody may
// have meant it: the same but for the case, or up to two letters apart. It is
// empty if name is no such word, or is itself in the list.
func Nearest(name string, words []string) string {
	if len(name) > longestWord || slices.Contains(words, name) {
		return ""
	}
	nearest, least := "", 3
	for _, word := range words {
		if d := distance(name, word); d < least && d <= len(word)/4 {
			nearest, least = word, d
		}
	}
	return nearest
}

const longestWord = 64

// distance is the Levenshtein distance of two words, whatever their case; three
// is as good as any more.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 || len(b) > longestWord {
		return 3
	}
	var row [longestWord + 1]int // distances of a[:i+1] and each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i]|0x20 != b[j]|0x20 { // letters of one case
				replaced++
			}
			diagonal, row[j+1] = row[j+1], min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// didYouMean asks for the nearest word, if there is one.
func didYouMean(name string, words []string) string {
	if word := Nearest(name, words); word != "" {
		return ": did you mean " + word + "?"
	}
	return ""
}

// oneOfWords says which words there are, and which of them was meant by one that
// is none of them.
func oneOfWords(words []string, name string) string {
	return "unknown, " + oneOfThese(words) + didYouMean(name, words)
}

func oneOfThese(words []string) string { return "one of " + strings.Join(words, ", ") }
