// The run panel below a listing.
//
// The page itself holds the command for a terminal and the recorded run. Where the server
// is there, this script adds the buttons, streams what the program prints, and puts the
// fresh trace above the recorded one.
"use strict";

(() => {
    const { keepKeys, make } = safepoint;

    document.querySelectorAll(".sp-figure, .sp-lines").forEach(figure => {
        // A player has keys of its own.
        if (!figure.closest(".sp-player")) {
            keepKeys(figure);
        }
    });
    if (!safepoint.here) {
        return;
    }

    function button(className, text, label, parent) {
        const element = make("button", "sp-button " + className, text);
        element.type = "button";
        element.setAttribute("aria-label", label);
        parent.append(element);
        return element;
    }

    function choice(text, values, chosen, parent) {
        const label = make("label", "sp-choice", text + " ");
        const select = make("select", "sp-select");
        for (const [value, shown] of values) {
            const option = make("option", "", shown);
            option.value = value;
            option.selected = value === chosen;
            select.append(option);
        }
        keepKeys(select);
        label.append(select);
        parent.append(label);
        return select;
    }

    function seconds(ms) {
        return (ms / 1000).toFixed(ms < 10000 ? 3 : 1) + " s";
    }

    function ending(end, stopped) {
        if (stopped) {
            return "Stopped by you after " + seconds(end.ms) + ".";
        }
        if (end.code !== null) {
            return "Exit code " + end.code + " after " + seconds(end.ms) + ".";
        }
        if (end.signal !== null) {
            return "Ended by signal " + end.signal + " after " + seconds(end.ms) + ".";
        }
        return "It did not run.";
    }

    class Panel {
        constructor(place) {
            this.place = place;
            this.pkg = place.dataset.pkg;
            this.name = place.dataset.name;
            this.abort = null;
            this.build();
        }

        build() {
            const bar = make("div", "sp-bar");
            bar.setAttribute("role", "group");
            bar.setAttribute("aria-label", "Run " + this.name);
            this.runButton = button("sp-go", "Run", "Run " + this.name, bar);
            const pair = make("span", "sp-pair");
            this.replayButton = button("", "Replay seed", "Replay " + this.name + " with this seed", pair);
            this.seed = make("input", "sp-seed");
            this.seed.type = "number";
            this.seed.min = "0";
            this.seed.step = "1";
            this.seed.value = "1";
            this.seed.setAttribute("aria-label", "Seed");
            keepKeys(this.seed);
            this.seed.addEventListener("keydown", event => {
                if (event.key === "Enter" && !this.abort) {
                    event.preventDefault();
                    this.start("replay");
                }
            });
            pair.append(this.seed);
            bar.append(pair);
            const procs = ["1", "2", "4", "8"].map(n => [n, n]);
            this.procs = choice("GOMAXPROCS", procs, this.place.dataset.procs, bar);
            const tries = JSON.parse(this.place.dataset.tries || "[]");
            if (tries.length > 0) {
                const values = [["", "none"], ...tries.map(t => [t, t])];
                this.args = choice("Argument", values, "", bar);
            }
            if (this.place.dataset.flag === "true") {
                this.flagButton = button("sp-flag", "Raise the flag", "Raise the flag of " + this.name, bar);
                this.flagButton.addEventListener("click", () => this.tell("/api/flag"));
            }
            this.stopButton = button("", "Stop", "Stop " + this.name, bar);

            this.status = make("p", "sp-status");
            this.status.setAttribute("role", "status");
            this.log = make("pre", "sp-log");
            this.log.setAttribute("role", "log");
            this.log.setAttribute("aria-live", "polite");
            this.log.setAttribute("aria-label", "Output of " + this.name);
            this.log.tabIndex = 0;
            this.log.hidden = true;
            keepKeys(this.log);
            this.yours = make("div", "sp-yours");
            this.place.prepend(bar, this.status, this.log, this.yours);

            this.runButton.addEventListener("click", () => this.abort ? this.stop() : this.start("run"));
            this.replayButton.addEventListener("click", () => this.start("replay"));
            this.stopButton.addEventListener("click", () => this.stop());
            this.running(false);
        }

        // Only what can be pressed now is enabled.
        running(on, started) {
            const busy = started ? "Running…" : "Building…";
            this.runButton.textContent = on ? busy : "Run";
            this.runButton.setAttribute("aria-label", on ? busy + " press to stop " + this.name : "Run " + this.name);
            this.replayButton.disabled = on;
            this.stopButton.disabled = !on;
            if (this.flagButton) {
                this.flagButton.disabled = !(on && started);
            }
        }

        order(mode) {
            const seed = Number(this.seed.value);
            if (mode === "replay" && !(Number.isSafeInteger(seed) && seed >= 0 && this.seed.value !== "")) {
                this.status.textContent = "The seed must be a whole number, 0 or more.";
                this.seed.focus();
                return null;
            }
            return {
                pkg: this.pkg,
                example: this.name,
                mode,
                seed: mode === "replay" ? seed : 1,
                procs: Number(this.procs.value),
                args: this.args ? this.args.value : "",
            };
        }

        async start(mode) {
            const order = this.order(mode);
            if (!order) {
                return;
            }
            this.log.replaceChildren();
            this.log.hidden = true;
            this.yours.replaceChildren();
            this.status.className = "sp-status";
            this.status.textContent = "Building…";
            this.abort = new AbortController();
            this.stopped = false;
            this.running(true, false);
            let ended = false;
            try {
                await safepoint.run(order, event => {
                    ended = ended || event.t === "end";
                    this.event(event, order);
                }, this.abort.signal);
                if (!ended) {
                    this.status.textContent = "The book ended before the program did.";
                }
            } catch (error) {
                const aborted = error.name === "AbortError";
                // A browser's own errors are of this type, too.
                const lost = error instanceof TypeError && !(await safepoint.answers());
                this.status.textContent = aborted ? "Stopped."
                    : lost ? "The book does not answer; start it again with cargo run." : error.message;
            }
            this.abort = null;
            this.running(false);
        }

        event(event, order) {
            switch (event.t) {
                case "build":
                    this.status.textContent = "Building: " + event.line;
                    break;
                case "start":
                    this.status.textContent = "Running…";
                    this.running(true, true);
                    break;
                case "end":
                    this.end(event, order);
                    break;
                default:
                    this.line(event.t, event.line);
            }
        }

        line(kind, text) {
            const atEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
            this.log.hidden = false;
            const span = make("span", "sp-line sp-line-" + kind, text + "\n");
            this.log.append(span);
            if (atEnd) {
                this.log.scrollTop = this.log.scrollHeight;
            }
        }

        end(end, order) {
            let text = ending(end, this.stopped && end.signal !== null);
            if (order.mode === "replay" && end.same === true) {
                text += " Equal to the recorded run, byte for byte.";
                this.status.classList.add("sp-same");
            } else if (order.mode === "replay" && end.same === false) {
                text += " Not equal to the recorded run: " + end.why + ".";
                this.status.classList.add("sp-differs");
            } else if (end.why) {
                text += " Not compared: " + end.why + ".";
            }
            this.status.textContent = text;
            if (end.trace === null) {
                return;
            }
            const clock = order.mode === "replay" ? "seed " + order.seed : "free-running";
            this.yours.append(make("p", "sp-caption", "Yours: GOMAXPROCS=" + order.procs + ", " + clock));
            if (end.svg !== null) {
                const figure = make("div", "sp-figure");
                figure.tabIndex = 0;
                figure.setAttribute("role", "group");
                figure.setAttribute("aria-label", "Picture of your trace");
                // Drawn and escaped by our own server.
                figure.innerHTML = end.svg;
                keepKeys(figure);
                this.yours.append(figure);
            }
            const full = make("details", "sp-full");
            full.append(make("summary", "", "The whole trace of your run"));
            const pre = make("pre", "sp-text");
            pre.append(make("code", "", end.trace));
            pre.tabIndex = 0;
            keepKeys(pre);
            full.append(pre);
            this.yours.append(full);
            this.openRecorded(order.procs);
        }

        // The recorded run with the same number of Ps, to compare by eye.
        openRecorded(procs) {
            const example = this.place.closest(".sp-example");
            const recorded = example && example.querySelector('.sp-recorded[data-procs="' + procs + '"]');
            if (recorded) {
                recorded.open = true;
            }
        }

        async tell(path) {
            try {
                await safepoint.post(path);
            } catch (error) {
                this.line("note", error.message);
            }
        }

        stop() {
            this.stopped = true;
            this.tell("/api/stop");
        }
    }

    const places = Array.from(document.querySelectorAll(".sp-panel"));
    if (places.length === 0) {
        return;
    }
    safepoint.status().then(status => {
        if (status.can_run) {
            places.forEach(place => new Panel(place));
        } else {
            places[0].prepend(make("p", "sp-status", status.lacks));
        }
    }).catch(() => {
        // Without an answer the commands for a terminal stay as they are.
    });
})();
