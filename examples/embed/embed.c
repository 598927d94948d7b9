/* embed.c: weir inside a program: lines of standard input go through a C function to standard output. */
#include <signal.h>
#include <stdio.h>
#include <weir_embed.h>

struct census {
    unsigned long lines, bytes;
};

static int count(void *user, const weir_batch *in, weir_out *out)
{
    struct census *census = user;
    for (size_t i = 0; i < in->count; i++) {
        census->lines++;
        census->bytes += in->events[i].payload.size;
        weir_out_forward(out, i, NULL);
    }
    return WEIR_OK;
}

int main(void)
{
    struct census census = {0, 0};
    signal(SIGPIPE, SIG_IGN); /* the host's signals are the host's business */
    weir *w = weir_new(NULL);
    weir_set(w, "store", "{ path: ./weir-data }");
    weir_set(w, "log", "{ level: warn }");
    weir_source(w, "lines", "stdin", NULL);
    weir_function_callback(w, "count", count, &census, 0);
    weir_sink(w, "out", "console", NULL);
    weir_route(w, "{ from: lines, call: count, to: out }");
    int result = weir_run(w);
    if (result != WEIR_OK)
        fprintf(stderr, "%s", weir_error(w));
    fprintf(stderr, "%lu lines, %lu bytes\n", census.lines, census.bytes);
    result = weir_exit_code(w);
    weir_free(w);
    return result;
}
