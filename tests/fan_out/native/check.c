/*
 * The boundary of native.c under AddressSanitizer and UndefinedBehaviorSanitizer: `make native-check`.
 *
 * Usage: check SECONDS [SEED]
 *
 * Calls it with all that a caller could get wrong, then at random: sockets that are open, full, closed, reset or none at
 * all, in any state, with any number of bytes. What each socket has received is compared with what was reported.
 */

#define _GNU_SOURCE

#include "../../../relay/fan_out/native.c"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#define SOCKETS 200
#define MOST_BYTES (1 << 20)
#define BEYOND 4096 /* descriptors that are looked up */
#define DELIVERIES 12 /* at a time */

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                 \
        }                                                                            \
    } while (0)

static uint64_t state;

static uint32_t random_below(uint32_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 11) % limit;
}

struct pair {
    int written, read; /* ends of a pair; read: -1: reset or closed */
};

static void open_pair(struct pair *pair)
{
    int ends[2], small = 4096;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    pair->written = ends[0];
    pair->read = ends[1];
    if (random_below(3) == 0)
        setsockopt(pair->written, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
}

static void close_pair(struct pair *pair)
{
    if (pair->written >= 0)
        close(pair->written);
    if (pair->read >= 0)
        close(pair->read);
    pair->written = pair->read = -1;
}

/* Read all that has arrived; return how many bytes, which must be those of the data, from its beginning. */
static size_t drain(int descriptor, const unsigned char *data)
{
    static unsigned char read_bytes[MOST_BYTES];
    size_t count = 0;
    ssize_t got;

    while ((got = read(descriptor, read_bytes, sizeof read_bytes)) > 0) {
        if (data)
            CHECK(memcmp(read_bytes, data + count, (size_t)got) == 0);
        count += (size_t)got;
    }
    return count;
}

static void check_refusals(struct fan_out *fan_out)
{
    int descriptors[1] = {0};
    uint8_t states[1] = {OPEN};
    struct left left[1];

    CHECK(relay_fan_out_interface() == INTERFACE);
    CHECK(relay_fan_out_write(NULL, descriptors, 1, states, 1, "x", 1, left) == -EINVAL);
    CHECK(relay_fan_out_write(fan_out, NULL, 1, states, 1, "x", 1, left) == -EINVAL);
    CHECK(relay_fan_out_write(fan_out, descriptors, 1, NULL, 1, "x", 1, left) == -EINVAL);
    CHECK(relay_fan_out_write(fan_out, descriptors, 1, states, 1, NULL, 1, left) == -EINVAL);
    CHECK(relay_fan_out_write(fan_out, descriptors, 1, states, 1, "x", 1, NULL) == -EINVAL);
    CHECK(relay_fan_out_write(fan_out, descriptors, SIZE_MAX, states, 1, "x", 1, left) == -EINVAL);
    CHECK(relay_fan_out_write(fan_out, descriptors, (size_t)UINT32_MAX + 1, states, 1, "x", 1, left) == -EINVAL);
    CHECK(relay_fan_out_write(fan_out, descriptors, 1, states, 1, "x", SIZE_MAX, left) == -EINVAL);
    CHECK(relay_fan_out_write(fan_out, descriptors, 1, states, 1, "x", (size_t)INT32_MAX + 1, left) == -EINVAL);
    /* Nothing to do. */
    CHECK(relay_fan_out_write(fan_out, NULL, 0, NULL, 0, NULL, 0, NULL) == 0);
    CHECK(relay_fan_out_write(fan_out, NULL, 0, states, 1, "x", 1, NULL) == 0);
    CHECK(relay_fan_out_write(fan_out, descriptors, 1, states, 1, "x", 0, left) == 0);
    CHECK(relay_fan_out_write(fan_out, descriptors, 1, NULL, 0, "x", 1, left) == 1 && left[0].result == 0);
    relay_fan_out_close(NULL);
}

static void check_refusals_of_many(struct fan_out *fan_out)
{
    int descriptors[1] = {0};
    uint8_t states[1] = {OPEN};
    struct part_left left[2];
    struct delivery one = {.descriptors = descriptors, .count = 1, .data = "x", .bytes = 1};
    struct delivery bad[] = {
        {.descriptors = NULL, .count = 1, .data = "x", .bytes = 1},
        {.descriptors = descriptors, .count = 1, .data = NULL, .bytes = 1},
        {.descriptors = descriptors, .count = 1, .data = "x", .bytes = (size_t)INT32_MAX + 1},
        {.descriptors = descriptors, .count = 1, .data = "x", .bytes = SIZE_MAX},
        {.descriptors = descriptors, .count = UINT32_MAX, .data = "x", .bytes = 1}, /* with the one before */
        {.descriptors = descriptors, .count = SIZE_MAX, .data = "x", .bytes = 1},
    };
    uint64_t joined;

    CHECK(relay_fan_out_write_together(NULL, &one, 1, states, 1, left, &joined) == -EINVAL);
    CHECK(relay_fan_out_write_together(fan_out, NULL, 1, states, 1, left, &joined) == -EINVAL);
    CHECK(relay_fan_out_write_together(fan_out, &one, SIZE_MAX, states, 1, left, &joined) == -EINVAL);
    CHECK(relay_fan_out_write_together(fan_out, &one, 1, NULL, 1, left, &joined) == -EINVAL);
    CHECK(relay_fan_out_write_together(fan_out, &one, 1, states, 1, NULL, &joined) == -EINVAL);
    CHECK(relay_fan_out_write_together(fan_out, &one, 1, states, 1, left, NULL) == -EINVAL);
    for (size_t number = 0; number < sizeof bad / sizeof *bad; number++) {
        struct delivery both[] = {one, bad[number]};
        CHECK(relay_fan_out_write_together(fan_out, both, 2, states, 1, left, &joined) == -EINVAL);
    }
    /* Nothing to do. */
    CHECK(relay_fan_out_write_together(fan_out, NULL, 0, NULL, 0, NULL, &joined) == 0 && joined == 0);
    one.count = 0;
    CHECK(relay_fan_out_write_together(fan_out, &one, 1, states, 1, NULL, &joined) == 0);
    one.count = 1, one.bytes = 0;
    CHECK(relay_fan_out_write_together(fan_out, &one, 1, states, 1, left, &joined) == 0);
    one.bytes = 1;
    CHECK(relay_fan_out_write_together(fan_out, &one, 1, NULL, 0, left, &joined) == 1 && left[0].result == 0);
}

/* More parts than one write has, and more bytes than a result can tell. */
static void check_limits(struct fan_out *fan_out)
{
    enum { PARTS = MOST_PARTS + 7 };
    static struct delivery deliveries[PARTS];
    static struct part_left left[PARTS];
    static uint8_t states[BEYOND];
    int ends[2];
    char read_bytes[PARTS];
    uint64_t joined;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    states[ends[0]] = OPEN;
    for (size_t number = 0; number < PARTS; number++)
        deliveries[number] = (struct delivery){.descriptors = ends, .count = 1, .data = "x", .bytes = 1};
    CHECK(relay_fan_out_write_together(fan_out, deliveries, PARTS, states, BEYOND, left, &joined) == PARTS - MOST_PARTS);
    CHECK(joined == MOST_PARTS - 1);
    for (uint32_t number = 0; number < PARTS - MOST_PARTS; number++)
        CHECK(left[number].delivery == MOST_PARTS + number && left[number].place == 0 && left[number].result == 0);
    CHECK(read(ends[1], read_bytes, sizeof read_bytes) == MOST_PARTS);

    void *much = mmap(NULL, INT32_MAX, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(much != MAP_FAILED);
    deliveries[0].data = deliveries[1].data = much;
    deliveries[0].bytes = deliveries[1].bytes = INT32_MAX;
    CHECK(relay_fan_out_write_together(fan_out, deliveries, 2, states, BEYOND, left, &joined) == 2 && joined == 0);
    CHECK(left[0].delivery == 0 && left[0].result > 0 && left[1].delivery == 1 && left[1].result == 0);
    munmap(much, INT32_MAX);
    close(ends[0]);
    close(ends[1]);
}

static void one_round(struct fan_out *fan_out, struct pair *pairs, const unsigned char *data)
{
    static uint8_t states[BEYOND];
    /* As many as are written to, on the heap: AddressSanitizer sees a byte beyond. */
    size_t count = random_below(SOCKETS + 1);
    size_t bytes = random_below(4) ? 1 + random_below(2000) : random_below(MOST_BYTES + 1);
    int *descriptors = malloc(count * sizeof *descriptors + 1);
    struct left *left = malloc(count * sizeof *left + 1);
    unsigned char *sent = malloc(bytes + 1);
    uint32_t offset = random_below(SOCKETS);
    unsigned reported[SOCKETS] = {0};
    int32_t results[SOCKETS];

    memcpy(sent, data, bytes);
    memset(states, 0, sizeof states);
    for (size_t place = 0; place < count; place++) {
        struct pair *pair = &pairs[(place + offset) % SOCKETS];
        descriptors[place] = pair->written;
        if (pair->written < 0 && random_below(2)) /* what is no descriptor at all */
            descriptors[place] = random_below(2) ? -1 - (int)random_below(INT_MAX) : BEYOND + (int)random_below(1 << 30);
        if (pair->written >= 0)
            states[pair->written] = random_below(10) ? OPEN : (uint8_t)random_below(256);
    }

    int64_t lefts = relay_fan_out_write(fan_out, descriptors, count, states, random_below(20) ? BEYOND : 0, sent, bytes, left);
    CHECK(lefts >= 0 && (size_t)lefts <= count);
    for (int64_t number = 0; number < lefts; number++) {
        CHECK(left[number].place < count);
        CHECK(!reported[left[number].place]++);
        CHECK(left[number].result < (int32_t)bytes);
        results[left[number].place] = left[number].result;
    }
    for (size_t place = 0; place < count; place++) {
        struct pair *pair = &pairs[(place + offset) % SOCKETS];
        int skipped = descriptors[place] >= 0 && descriptors[place] < BEYOND && states[descriptors[place]] == SKIPPED;
        if (pair->read < 0 || pair->written < 0)
            continue;
        size_t got = drain(pair->read, sent);
        if (reported[place])
            CHECK(got == (size_t)(results[place] > 0 ? results[place] : 0));
        else
            CHECK(got == (skipped ? 0 : bytes));
    }
    free(descriptors);
    free(left);
    free(sent);
}

/* Several deliveries at a time: each socket gets what was reported as taken, in their order, and nothing else. */
static void one_round_together(struct fan_out *fan_out, struct pair *pairs, const unsigned char *data)
{
    static uint8_t states[BEYOND];
    static unsigned char expected[DELIVERIES * MOST_BYTES];
    static int32_t results[DELIVERIES][SOCKETS];
    static uint8_t reported[DELIVERIES][SOCKETS], within[DELIVERIES][SOCKETS];
    struct delivery deliveries[DELIVERIES] = {{0}};
    size_t offsets[DELIVERIES] = {0};
    size_t count = random_below(DELIVERIES + 1), room = 0;
    size_t states_count = random_below(20) ? BEYOND : 0;
    uint64_t joined = 0, counted = 0;

    memset(states, 0, sizeof states);
    memset(reported, 0, sizeof reported);
    memset(within, 0, sizeof within);
    for (size_t number = 0; number < SOCKETS; number++)
        if (pairs[number].written >= 0)
            states[pairs[number].written] = random_below(10) ? OPEN : (uint8_t)random_below(256);
    for (size_t number = 0; number < count; number++) {
        size_t members = random_below(SOCKETS + 1);
        size_t bytes = random_below(8) ? random_below(2000) : random_below(MOST_BYTES);
        int *descriptors = malloc(members * sizeof *descriptors + 1);
        unsigned char *sent = malloc(bytes + 1);
        memcpy(sent, data + random_below((uint32_t)(MOST_BYTES - bytes)), bytes);
        offsets[number] = random_below(SOCKETS);
        for (size_t place = 0; place < members; place++) {
            size_t socket = (place + offsets[number]) % SOCKETS;
            descriptors[place] = pairs[socket].written >= 0 ? pairs[socket].written : -1 - (int)random_below(INT_MAX);
            within[number][socket] = bytes > 0;
        }
        deliveries[number] = (struct delivery){descriptors, members, sent, bytes};
        room += members;
    }

    struct part_left *left = malloc(room * sizeof *left + 1);
    int64_t lefts = relay_fan_out_write_together(fan_out, deliveries, count, states, states_count, left, &joined);
    CHECK(lefts >= 0 && (size_t)lefts <= room);
    for (int64_t number = 0; number < lefts; number++) {
        CHECK(left[number].delivery < count && left[number].place < deliveries[left[number].delivery].count);
        CHECK(left[number].result < (int32_t)deliveries[left[number].delivery].bytes);
        size_t socket = (left[number].place + offsets[left[number].delivery]) % SOCKETS;
        CHECK(!reported[left[number].delivery][socket]++);
        results[left[number].delivery][socket] = left[number].result;
    }
    for (size_t socket = 0; socket < SOCKETS; socket++) {
        struct pair *pair = &pairs[socket];
        int skipped = pair->written >= 0 && states_count && states[pair->written] == SKIPPED;
        size_t all = 0, begun = 0;
        int ended = 0;
        for (size_t number = 0; number < count; number++) {
            if (!within[number][socket] || skipped)
                continue;
            size_t taken = deliveries[number].bytes;
            if (reported[number][socket])
                taken = results[number][socket] > 0 ? (size_t)results[number][socket] : 0;
            CHECK(!ended || !taken);
            ended = taken < deliveries[number].bytes;
            begun += taken > 0;
            memcpy(expected + all, deliveries[number].data, taken);
            all += taken;
        }
        counted += begun ? begun - 1 : 0;
        if (pair->read >= 0 && pair->written >= 0)
            CHECK(drain(pair->read, expected) == all);
    }
    CHECK(joined == counted);
    for (size_t number = 0; number < count; number++) {
        free((void *)deliveries[number].descriptors);
        free((void *)deliveries[number].data);
    }
    free(left);
}

static void change(struct pair *pairs, const unsigned char *data)
{
    for (unsigned number = random_below(8); number; number--) {
        struct pair *pair = &pairs[random_below(SOCKETS)];
        switch (random_below(5)) {
        case 0: /* closed by us: its descriptor may soon be another one's */
            close_pair(pair);
            break;
        case 1: /* closed by the client */
            if (pair->read >= 0)
                close(pair->read);
            pair->read = -1;
            break;
        case 2: /* full */
            if (pair->written >= 0 && pair->read >= 0) {
                while (send(pair->written, data, 65536, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                    ;
                if (random_below(2)) {
                    close(pair->read);
                    pair->read = -1;
                } else {
                    drain(pair->read, NULL);
                }
            }
            break;
        default:
            close_pair(pair);
            open_pair(pair);
        }
    }
}

static unsigned long run(int io_uring, double seconds)
{
    struct fan_out *fan_out = NULL;
    struct pair pairs[SOCKETS];
    unsigned char *data = malloc(MOST_BYTES);
    unsigned long rounds = 0;
    time_t until = time(NULL) + (time_t)(seconds + 0.5);

    int failed = relay_fan_out_open(io_uring, &fan_out);
    if (failed) {
        printf("%s: SKIPPED: %s\n", io_uring ? "io_uring" : "send", strerror(-failed));
        free(data);
        return 0;
    }
    for (size_t place = 0; place < MOST_BYTES; place++)
        data[place] = (unsigned char)random_below(256);
    for (unsigned number = 0; number < SOCKETS; number++)
        open_pair(&pairs[number]);
    check_refusals(fan_out);
    check_refusals_of_many(fan_out);
    check_limits(fan_out);
    do {
        one_round(fan_out, pairs, data);
        change(pairs, data);
        one_round_together(fan_out, pairs, data);
        change(pairs, data);
        rounds++;
    } while (time(NULL) < until);
#ifdef HAVE_IO_URING
    if (io_uring) { /* a ring that fails in the middle of its life: all that follows goes by send() */
        CHECK(fan_out->ring >= 0);
        close(fan_out->ring);
        CHECK(open("/dev/null", O_RDONLY) >= 0);
        for (unsigned number = 0; number < 50; number++) {
            if (number % 2)
                one_round(fan_out, pairs, data);
            else
                one_round_together(fan_out, pairs, data);
            change(pairs, data);
        }
    }
#endif
    for (unsigned number = 0; number < SOCKETS; number++)
        close_pair(&pairs[number]);
    relay_fan_out_close(fan_out);
    free(data);
    printf("%s: %lu rounds\n", io_uring ? "io_uring" : "send", rounds);
    return rounds;
}

int main(int count, char **words)
{
    double seconds = count > 1 ? atof(words[1]) : 5;

    state = count > 2 ? strtoull(words[2], NULL, 10) : (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    state |= 1;
    printf("seed %llu\n", (unsigned long long)state);
    fflush(stdout);
    run(1, seconds / 2);
    CHECK(run(0, seconds / 2));
    return 0;
}
