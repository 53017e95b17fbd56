// The page's side of the small server: who we are, one request, one stream; and the two
// small things that every script of ours needs.
//
// The server puts a random word into each page that it hands out. A page without it was
// opened from a file or from plain hosting: nothing can be run then, and nothing is asked.
"use strict";

const safepoint = (() => {
    const meta = document.querySelector('meta[name="safepoint-token"]');
    const token = meta ? meta.content : null;

    async function post(path, body, signal) {
        const response = await fetch(path, {
            method: "POST",
            headers: {
                "content-type": "application/json",
                "x-safepoint": "1",
                "x-safepoint-token": token,
            },
            body: body === undefined ? "" : JSON.stringify(body),
            signal,
        });
        if (!response.ok) {
            // Every refusal is a JSON object with one line.
            const answer = await response.json().catch(() => ({}));
            throw new Error(answer.error || "The book answered " + response.status + ".");
        }
        return response;
    }

    // Is the server still there?
    async function answers() {
        try {
            return (await fetch("/api/status")).ok;
        } catch (error) {
            return false;
        }
    }

    // Sends an order and calls `each` for every event of the run, as they come.
    async function run(order, each, signal) {
        const response = await post("/api/run", order, signal);
        if (!response.body || !response.body.getReader) {
            throw new Error("This browser cannot read a stream; use the command for a terminal.");
        }
        const reader = response.body.getReader();
        const decoder = new TextDecoder();
        let rest = "";
        for (;;) {
            const { done, value } = await reader.read();
            rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
            const lines = rest.split("\n");
            rest = lines.pop();
            for (const line of lines) {
                each(JSON.parse(line));
            }
            if (done) {
                return;
            }
        }
    }

    async function status() {
        const response = await fetch("/api/status");
        return response.json();
    }

    // mdBook turns pages with the arrow keys and opens the search with a letter. Inside our
    // fields and scroll boxes those keys mean something else.
    function keepKeys(element) {
        element.addEventListener("keydown", event => event.stopPropagation());
    }

    // An element with a class and, if there is one, a text.
    function make(tag, className, text) {
        const element = document.createElement(tag);
        element.className = className;
        if (text !== undefined) {
            element.textContent = text;
        }
        return element;
    }

    return { here: token !== null, post, run, status, answers, keepKeys, make };
})();
