// How far the reader is with the exercises: on the cards, and beside the pages that hold
// them. It only asks where the server is there, when the page opens and when the reader
// comes back to it from the terminal.
"use strict";

(() => {
    if (!safepoint.here) {
        return;
    }

    function words(entry) {
        if (entry && entry.solved) {
            return "✓ solved";
        }
        if (entry && entry.runs > 0) {
            return entry.runs === 1 ? "tried once" : "tried " + entry.runs + " times";
        }
        return "not tried yet";
    }

    function show(state) {
        document.querySelectorAll(".sp-card[data-exercise]").forEach(card => {
            const entry = state.exercises[card.dataset.exercise];
            const place = card.querySelector(".sp-progress");
            if (place) {
                place.textContent = words(entry);
            }
            card.classList.toggle("sp-solved", Boolean(entry && entry.solved));
        });
        document.querySelectorAll("#mdbook-sidebar a[href]").forEach(link => {
            const names = state.pages[link.pathname.replace(/^\//, "")];
            if (!names || link.hash) {
                return;
            }
            const solved = names.filter(name => state.exercises[name] && state.exercises[name].solved).length;
            let tick = link.querySelector(".sp-tick");
            if (!tick) {
                tick = document.createElement("span");
                tick.className = "sp-tick";
                tick.setAttribute("role", "img");
                link.append(tick);
            }
            const all = solved === names.length;
            tick.textContent = solved === 0 ? "" : all ? " ✓" : " " + solved + "/" + names.length;
            tick.setAttribute("aria-label", solved + " of " + names.length + " exercises solved");
        });
    }

    async function ask() {
        try {
            const response = await fetch("/api/progress");
            if (response.ok) {
                show(await response.json());
            }
        } catch (error) {
            // The server has gone; what is shown stays.
        }
    }

    ask();
    window.addEventListener("focus", ask);
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden) {
            ask();
        }
    });
})();
