// Words that are not written in Latin letters can be found.
//
// mdBook's search cuts everything off the ends of a word that is not a Latin letter or a
// digit: of 抢占 nothing is left, neither in the index nor of what a reader types. The texts
// are in the index's store, so the words that were lost are added to it when it is loaded.
"use strict";

(() => {
    const lunr = window.elasticlunr;
    if (!lunr) {
        return;
    }
    const trimmer = token => token.replace(/^[^\p{L}\p{N}_]+/u, "").replace(/[^\p{L}\p{N}_]+$/u, "");
    trimmer.label = "trimmer";
    lunr.Pipeline.registeredFunctions.trimmer = trimmer;

    // The words of a text that begin and end with a letter which the index does not know.
    // Chinese does not part its words, so that each place in a run may begin one.
    function lost(text) {
        const found = new Map();
        const add = word => found.set(word, (found.get(word) || 0) + 1);
        for (const [run] of text.toLowerCase().matchAll(/\p{L}+/gu)) {
            if (/[0-9a-z]/.test(run)) {
                continue;
            }
            const letters = Array.from(run);
            const starts = /\p{Script=Han}/u.test(run) ? letters.length : 1;
            for (let i = 0; i < starts; i++) {
                add(letters.slice(i).join(""));
            }
        }
        return found;
    }

    const load = lunr.Index.load;
    lunr.Index.load = data => {
        const index = load.call(lunr.Index, data);
        for (const [ref, texts] of Object.entries(index.documentStore.docs)) {
            for (const field of index.getFields()) {
                for (const [word, count] of lost(texts[field] || "")) {
                    index.index[field].addToken(word, { ref, tf: Math.sqrt(count) });
                }
            }
        }
        return index;
    };
})();
