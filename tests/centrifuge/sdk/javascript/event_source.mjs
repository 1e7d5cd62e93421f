// As much of what browsers have as the SDK asks for; Node has none.
export class EventSource {
    #aborting = new AbortController();

    constructor(url) {
        this.#read(url).catch((error) => this.onerror?.(error));
    }

    async #read(url) {
        const response = await fetch(url, {signal: this.#aborting.signal});
        if (!response.ok) throw new Error(`status ${response.status}`);
        this.onopen?.({});
        let text = "";
        const decoder = new TextDecoder();
        for await (const chunk of response.body) {
            text += decoder.decode(chunk, {stream: true});
            const events = text.split("\n\n");
            text = events.pop();
            for (const event of events) {
                const data = event.trimStart();
                if (data.startsWith("data: ")) this.onmessage?.({data: data.slice(6)});
            }
        }
        this.onerror?.(new Error("the stream has ended"));
    }

    close() {
        this.#aborting.abort();
    }
}
