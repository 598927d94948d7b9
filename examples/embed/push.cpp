/* push.cpp: two instances in one C++ program: what one thread pushes into the first goes to a file, and comes back out of
 * its function as a count, while the second one works on its own. */
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <weir_embed.h>

struct Free {
    void operator()(weir *w) const { weir_free(w); }
};
using Weir = std::unique_ptr<weir, Free>;

static int upper(void *user, const weir_batch *in, weir_out *out)
{
    auto &called = *static_cast<unsigned long *>(user);
    for (size_t i = 0; i < in->count; i++) {
        weir_event event = in->events[i];
        std::string text(event.payload.data, event.payload.size);
        for (char &c : text)
            if (c >= 'a' && c <= 'z')
                c = static_cast<char>(c - 'a' + 'A');
        event.payload = {text.data(), text.size()};
        if (int result = weir_out_put(out, i, nullptr, &event))
            return result;
        called++;
    }
    return WEIR_OK;
}

/* A configuration as a file would hold it; NAME stands for what the two have each of their own. */
static Weir instance(const std::string &name, unsigned long &called)
{
    Weir w(weir_new(nullptr));
    weir_text(w.get(), ("store: { path: ./" + name + "-data }\n"
                        "log: { level: warn }\n"
                        "sources: { in: { type: push } }\n"
                        "sinks: { out: { type: file, path: ./" + name + ".txt } }\n"
                        "routes: [ { from: in, call: upper, to: out } ]\n").c_str());
    weir_function_callback(w.get(), "upper", upper, &called, 0);
    return w;
}

/* Pushes `count` lines, each accepted before the next, and ends the source. */
static void feed(weir *w, const std::string &name, int count)
{
    for (int i = 0; i < count; i++) {
        const std::string text = name + " " + std::to_string(i);
        weir_event event = {};
        event.payload = {text.data(), text.size()};
        event.key = {name.data(), name.size()};
        if (weir_push_wait(w, "in", &event) != WEIR_OK)
            break;
    }
    weir_push_end(w, "in");
}

static int run(const std::string &name, int count)
{
    unsigned long called = 0;
    Weir w = instance(name, called);
    if (weir_start(w.get()) != WEIR_OK) {
        std::fprintf(stderr, "%s", weir_error(w.get()));
        return weir_exit_code(w.get());
    }
    std::thread feeder(feed, w.get(), name, count);
    int result = weir_run(w.get());
    feeder.join();
    std::fprintf(stderr, "%s: %lu events, result %d\n", name.c_str(), called, result);
    return weir_exit_code(w.get());
}

int main()
{
    std::signal(SIGPIPE, SIG_IGN);
    int other = 0;
    std::thread second([&] { other = run("two", 20); });
    int result = run("one", 30);
    second.join();
    return result ? result : other;
}
