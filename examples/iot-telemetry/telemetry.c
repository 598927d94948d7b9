/* telemetry.c: a rolling mean and an alarm for each device, in keyed state.
 *
 * A reading is {"device":"d0042","seq":17,"value":21.5}. For each device the function keeps how many readings it
 * saw, their exponentially weighted mean, and whether the device is in alarm. Every reading goes on to `readings`
 * with its mean; crossing the threshold (and coming back below it) goes to `alarms`. A reading that makes no sense
 * fails: after its attempts it is a dead letter, and the device's other readings go on.
 *
 * MQTT may deliver a reading twice: the sequence number tells, the mean is not touched again, and the line says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir_plugin.h"

struct telemetry {
    int64_t threshold; /* of the mean */
    int64_t readings;  /* about how many readings the mean remembers */
};

/* What is stored for a device. One machine writes and reads it, so its bytes may be its own. */
struct device {
    uint64_t count, seq;
    double mean;
    int32_t alarm, reserved;
};

struct reading {
    double seq, value;
    int again; /* it came before */
};

/* The number after "name": in a small flat JSON text. */
static int number_of(const char *text, const char *name, double *value)
{
    const char *at = strstr(text, name);
    if (!at)
        return 0;
    char *end;
    *value = strtod(at + strlen(name), &end);
    return end != at + strlen(name);
}

static int reading_parse(const weir_event *event, struct reading *reading)
{
    char text[256];
    if (event->payload.size >= sizeof text)
        return 0;
    memcpy(text, event->payload.data, event->payload.size);
    text[event->payload.size] = '\0';
    return number_of(text, "\"seq\":", &reading->seq) && number_of(text, "\"value\":", &reading->value);
}

static int put_text(weir_out *out, const weir_event *event, size_t from, const char *output, const char *text)
{
    weir_event result = {.payload = {text, strlen(text)}, .key = event->key, .subject = event->subject};
    return weir_out_put(out, from, output, &result);
}

static int device_save(weir_out *out, size_t i, const struct device *device)
{
    weir_view name = {"", 0}, value = {(const char *)device, sizeof *device};
    return weir_state_put(out, i, name, value);
}

static int reading_put(const weir_event *event, weir_out *out, size_t i, const struct device *device,
                       const struct reading *reading)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"subject\":\"%.*s\",\"seq\":%.0f,\"value\":%.2f,\"mean\":%.4f,\"count\":%llu,\"again\":%d}",
             (int)event->subject.size, event->subject.data, reading->seq, reading->value, device->mean,
             (unsigned long long)device->count, reading->again);
    return put_text(out, event, i, "readings", text);
}

static int reading_alarm(const struct telemetry *self, const weir_event *event, weir_out *out, size_t i,
                         struct device *device)
{
    int above = device->mean > (double)self->threshold;
    if (above == device->alarm)
        return WEIR_OK;
    device->alarm = above;
    char text[100];
    snprintf(text, sizeof text, "{\"alarm\":%s,\"mean\":%.2f}", above ? "true" : "false", device->mean);
    return put_text(out, event, i, "alarms", text);
}

static int reading_take(const struct telemetry *self, const weir_event *event, weir_out *out, size_t i)
{
    struct reading reading;
    struct device device = {0};
    weir_view name = {"", 0}, stored;
    if (!reading_parse(event, &reading)) {
        weir_out_fail(out, i, "not a reading: seq or value is missing");
        return WEIR_OK;
    }
    int found = weir_state_get(out, i, name, &stored);
    if (found == WEIR_OK && stored.size == sizeof device)
        memcpy(&device, stored.data, sizeof device);
    else if (found != WEIR_MISSING)
        return found;
    reading.again = (uint64_t)reading.seq <= device.seq;
    int result = WEIR_OK;
    if (!reading.again) {
        device.count++;
        device.seq = (uint64_t)reading.seq;
        double weight =
            1.0 / (double)(device.count < (uint64_t)self->readings ? device.count : (uint64_t)self->readings);
        device.mean += (reading.value - device.mean) * weight;
        result = reading_alarm(self, event, out, i, &device);
    }
    if (result == WEIR_OK)
        result = reading_put(event, out, i, &device, &reading);
    return result == WEIR_OK && !reading.again ? device_save(out, i, &device) : result;
}

static int telemetry_call(void *state, const weir_batch *in, weir_out *out)
{
    int result = WEIR_OK;
    for (size_t i = 0; i < in->count && result == WEIR_OK; i++)
        result = reading_take(state, &in->events[i], out, i);
    return result;
}

static const weir_option telemetry_options[] = {
    {.name = "threshold",
     .type = WEIR_OPTION_INT,
     .offset = offsetof(struct telemetry, threshold),
     .fallback = "30",
     .min = -1000000,
     .max = 1000000,
     .help = "An alarm is sent when a device's mean rises above it."},
    {.name = "readings",
     .type = WEIR_OPTION_INT,
     .offset = offsetof(struct telemetry, readings),
     .fallback = "20",
     .min = 1,
     .max = 1000000,
     .help = "About how many readings the mean remembers."},
    {0},
};

static const weir_function_ops telemetry = {
    .size = sizeof telemetry,
    .type = "telemetry",
    .summary = "A rolling mean and an alarm for each device.",
    .options = telemetry_options,
    .state_size = sizeof(struct telemetry),
    .flags = WEIR_FUNCTION_STATE,
    .call = telemetry_call,
};

static const weir_function_ops *const functions[] = {&telemetry, NULL};
WEIR_MODULE = {
    .abi = WEIR_ABI, .size = sizeof(weir_module_info), .name = "telemetry", .version = "1", .functions = functions};
