/*
 * The fan-out of one flush: the same bytes to many sockets, in one call; or to each what several channels have for it.
 *
 * Two ways: a batch of io_uring, whose sends take one system call for each RING_ENTRIES of them; or one send() for each
 * socket. Both only try: what a socket doesn't take at once is reported, and nothing ever waits here. The caller goes on
 * with it through the transport that owns the socket.
 *
 * No header of Python: the library is loaded by ctypes, so one build serves every version of Python. No liburing
 * either: the kernel's own header says all that is needed.
 *
 * Files are not registered with the ring. A registered file stays open when its owner closes it, so that a client would
 * never hear of its end; and it was measured to save nothing: a lookup touches what the send touches anyway.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#include <sys/mman.h>
#endif
#endif

/* The flags are enumerators of the header or macros; this one came last of those that are used, with Linux 6.1. */
#if defined(IORING_SETUP_DEFER_TASKRUN) && defined(__NR_io_uring_setup)
#define HAVE_IO_URING 1
#endif

#ifndef MSG_NOSIGNAL /* macOS has a socket option instead, and Python ignores the signal anyway */
#define MSG_NOSIGNAL 0
#endif

#define EXPORT __attribute__((visibility("default")))

/* Raised with each change of what is exported: another library than the caller's own is not used. */
#define INTERFACE 2

/* Sends in one system call. More than some dozens save nothing, and the ring has to stay in the cache. */
#define RING_ENTRIES 64

/* Parts of one write; more than these are left to the caller. Linux and macOS take 1024. */
#define MOST_PARTS 1024

enum {
    WITHHELD = 0, /* something waits for the client already: it is reported as one that took nothing */
    OPEN = 1,
    SKIPPED = 2 /* is not written to, and not reported */
};

/* A socket that did not take everything. */
struct left {
    uint32_t place; /* in the list of descriptors */
    int32_t result; /* bytes that it took, or the error as a negative number; 0: it was not asked */
};

/* What one group of sockets gets. */
struct delivery {
    const int *descriptors;
    size_t count;
    const void *data;
    size_t bytes;
};

/* A socket that did not take everything of a delivery. */
struct part_left {
    uint32_t delivery; /* in the list of deliveries */
    uint32_t place; /* in its list of descriptors */
    int32_t result; /* as in `struct left` */
};

/* Where a part of a write comes from. */
struct origin {
    uint32_t delivery, place;
};

/* A socket, and the parts of what is written to it, which stand in a row. */
struct target {
    int descriptor;
    uint32_t first, count;
    uint32_t asked; /* parts that are written now */
    uint32_t bytes; /* in these */
};

/* What a flush of several channels needs, kept for the next one. */
struct plan {
    uint32_t *numbers; /* by descriptor: of its target, from 1 on; 0: none. All are 0 between two calls. */
    size_t descriptors;
    struct target *targets;
    struct iovec *parts;
    struct origin *origins;
    size_t room; /* of each of these three */
};

struct fan_out {
    struct plan plan;
#ifdef HAVE_IO_URING
    int ring; /* -1: none, or no longer */
    void *rings;
    size_t rings_bytes;
    struct io_uring_sqe *entries;
    size_t entries_bytes;
    unsigned *submission_head, *submission_tail, submission_mask;
    unsigned *completion_head, *completion_tail, completion_mask;
    struct io_uring_cqe *completions;
#else
    int ring;
#endif
};

EXPORT int relay_fan_out_interface(void)
{
    return INTERFACE;
}

#ifdef HAVE_IO_URING

static int map_ring(struct fan_out *self, const struct io_uring_params *params)
{
    size_t submissions = params->sq_off.array + params->sq_entries * sizeof(unsigned);
    size_t completions = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);

    if (!(params->features & IORING_FEAT_SINGLE_MMAP) || params->sq_entries < RING_ENTRIES)
        return -ENOSYS;
    self->rings_bytes = submissions > completions ? submissions : completions;
    self->rings = mmap(NULL, self->rings_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->ring,
                       IORING_OFF_SQ_RING);
    if (self->rings == MAP_FAILED) {
        self->rings = NULL;
        return -errno;
    }
    self->entries_bytes = params->sq_entries * sizeof(struct io_uring_sqe);
    self->entries = mmap(NULL, self->entries_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, self->ring,
                         IORING_OFF_SQES);
    if (self->entries == MAP_FAILED) {
        self->entries = NULL;
        return -errno;
    }

    char *base = self->rings;
    self->submission_head = (unsigned *)(base + params->sq_off.head);
    self->submission_tail = (unsigned *)(base + params->sq_off.tail);
    self->submission_mask = *(unsigned *)(base + params->sq_off.ring_mask);
    self->completion_head = (unsigned *)(base + params->cq_off.head);
    self->completion_tail = (unsigned *)(base + params->cq_off.tail);
    self->completion_mask = *(unsigned *)(base + params->cq_off.ring_mask);
    self->completions = (struct io_uring_cqe *)(base + params->cq_off.cqes);
    unsigned *places = (unsigned *)(base + params->sq_off.array);
    for (unsigned place = 0; place < params->sq_entries; place++)
        places[place] = place;
    return 0;
}

static void close_ring(struct fan_out *self)
{
    if (self->entries)
        munmap(self->entries, self->entries_bytes);
    if (self->rings)
        munmap(self->rings, self->rings_bytes);
    if (self->ring >= 0)
        close(self->ring);
    self->entries = NULL;
    self->rings = NULL;
    self->ring = -1;
}

static int open_ring(struct fan_out *self)
{
    struct io_uring_params params;

    memset(&params, 0, sizeof params);
    /* One thread submits, and completions come when it asks for them: no interrupts of it, and no thread of the kernel. */
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    self->ring = (int)syscall(__NR_io_uring_setup, RING_ENTRIES, &params);
    if (self->ring < 0)
        return -errno;
    int failed = map_ring(self, &params);
    if (failed)
        close_ring(self);
    return failed;
}

/* Submit what was filled in, and wait for all of it; return how many the kernel has taken, or a negative error. */
static int submit(struct fan_out *self, unsigned count)
{
    unsigned submitted = 0;

    while (submitted < count) {
        long taken = syscall(__NR_io_uring_enter, self->ring, count - submitted, 0, 0, NULL, 0);
        if (taken > 0)
            submitted += (unsigned)taken;
        else if (taken == 0 || errno != EINTR)
            break;
    }
    /* A send with MSG_DONTWAIT is complete when it was submitted; this is for a kernel in which it should not be. */
    while (__atomic_load_n(self->completion_tail, __ATOMIC_ACQUIRE) - *self->completion_head < submitted)
        if (syscall(__NR_io_uring_enter, self->ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR)
            return -errno;
    return (int)submitted;
}

/* Return the entry of a socket in the next batch; without what is sent. */
static struct io_uring_sqe *fill_entry(struct fan_out *self, unsigned number, int descriptor, uint8_t opcode)
{
    struct io_uring_sqe *entry = &self->entries[(*self->submission_tail + number) & self->submission_mask];

    memset(entry, 0, sizeof *entry);
    entry->opcode = opcode;
    entry->fd = descriptor;
    entry->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    entry->user_data = number;
    return entry;
}

/*
 * Write what at most RING_ENTRIES entries say.
 *
 * Returns how many sockets were written to, from the first on; what has come of them is in `results`. Fewer than asked
 * for: the kernel takes no more.
 */
static unsigned write_entries(struct fan_out *self, unsigned count, int32_t *results)
{
    __atomic_store_n(self->submission_tail, *self->submission_tail + count, __ATOMIC_RELEASE);

    int submitted = submit(self, count);
    if (submitted < 0) {
        /* What has become of the sends can't be known: the sockets must be given up, not written to again. */
        for (unsigned number = 0; number < count; number++)
            results[number] = -EIO;
        close_ring(self);
        return count;
    }
    /* What the kernel has not taken must not be found by the next call. */
    __atomic_store_n(self->submission_tail, __atomic_load_n(self->submission_head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);

    unsigned head = *self->completion_head;
    for (unsigned number = 0; number < (unsigned)submitted; number++, head++) {
        const struct io_uring_cqe *completion = &self->completions[head & self->completion_mask];
        results[completion->user_data] = completion->res;
    }
    __atomic_store_n(self->completion_head, head, __ATOMIC_RELEASE);
    return (unsigned)submitted;
}

/* Write to at most RING_ENTRIES sockets, those at the given places in the list; see `write_entries`. */
static unsigned write_batch(struct fan_out *self, const int *descriptors, const uint32_t *places, unsigned count,
                            const void *data, size_t bytes, int32_t *results)
{
    for (unsigned number = 0; number < count; number++) {
        struct io_uring_sqe *entry = fill_entry(self, number, descriptors[places[number]], IORING_OP_SEND);
        entry->addr = (uintptr_t)data;
        entry->len = (uint32_t)bytes;
    }
    return write_entries(self, count, results);
}

/* Write to at most RING_ENTRIES sockets what each is to get; see `write_entries`. */
static unsigned write_parts_batch(struct fan_out *self, const struct target *targets, unsigned count, int32_t *results)
{
    struct msghdr messages[RING_ENTRIES]; /* the kernel has read them when the batch is complete */

    for (unsigned number = 0; number < count; number++) {
        const struct target *target = &targets[number];
        struct iovec *parts = &self->plan.parts[target->first];
        struct io_uring_sqe *entry;
        if (target->asked == 1) {
            entry = fill_entry(self, number, target->descriptor, IORING_OP_SEND);
            entry->addr = (uintptr_t)parts->iov_base;
            entry->len = (uint32_t)parts->iov_len;
        } else {
            messages[number] = (struct msghdr){.msg_iov = parts, .msg_iovlen = target->asked};
            entry = fill_entry(self, number, target->descriptor, IORING_OP_SENDMSG);
            entry->addr = (uintptr_t)&messages[number];
            entry->len = 1;
        }
    }
    return write_entries(self, count, results);
}

#else

static int open_ring(struct fan_out *self)
{
    (void)self;
    return -ENOSYS;
}

static void close_ring(struct fan_out *self)
{
    self->ring = -1;
}

static unsigned write_batch(struct fan_out *self, const int *descriptors, const uint32_t *places, unsigned count,
                            const void *data, size_t bytes, int32_t *results)
{
    (void)self, (void)descriptors, (void)places, (void)count, (void)data, (void)bytes, (void)results;
    return 0;
}

static unsigned write_parts_batch(struct fan_out *self, const struct target *targets, unsigned count, int32_t *results)
{
    (void)self, (void)targets, (void)count, (void)results;
    return 0;
}

#endif

/* As send(), but in a process with threads glibc's makes each call a point at which a thread may be cancelled. */
#ifdef SYS_sendto
#define SEND(...) syscall(SYS_sendto, __VA_ARGS__, NULL, 0)
#define SEND_MESSAGE(...) syscall(SYS_sendmsg, __VA_ARGS__)
#else
#define SEND send
#define SEND_MESSAGE sendmsg
#endif

static int32_t write_one(int descriptor, const void *data, size_t bytes)
{
    ssize_t taken;

    do
        taken = SEND(descriptor, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (taken < 0 && errno == EINTR);
    return taken < 0 ? -errno : (int32_t)taken;
}

static int32_t write_parts(const struct fan_out *self, const struct target *target)
{
    struct iovec *parts = &self->plan.parts[target->first];
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = target->asked};
    ssize_t taken;

    if (target->asked == 1)
        return write_one(target->descriptor, parts->iov_base, parts->iov_len);
    do
        taken = SEND_MESSAGE(target->descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (taken < 0 && errno == EINTR);
    return taken < 0 ? -errno : (int32_t)taken;
}

/*
 * Make what `relay_fan_out_write` needs. With io_uring only the thread that has called this may write.
 *
 * Args:
 *     io_uring: whether to write by it; else by send().
 *     made: where the result is stored.
 *
 * Returns 0, or a negative error: io_uring is not there, or not allowed.
 */
EXPORT int relay_fan_out_open(int io_uring, struct fan_out **made)
{
    struct fan_out *self = calloc(1, sizeof *self);

    if (!self)
        return -ENOMEM;
    self->ring = -1;
    if (io_uring) {
        int failed = open_ring(self);
        if (failed) {
            free(self);
            return failed;
        }
    }
    *made = self;
    return 0;
}

EXPORT void relay_fan_out_close(struct fan_out *self)
{
    if (self) {
        close_ring(self);
        free(self->plan.numbers);
        free(self->plan.targets);
        free(self->plan.parts);
        free(self->plan.origins);
        free(self);
    }
}

/*
 * Write the same bytes to many sockets, as far as they take them at once.
 *
 * Args:
 *     descriptors, count: the sockets. None may be in it twice.
 *     states, states_count: by descriptor, whether to write to it; beyond the end: WITHHELD.
 *     data, bytes: what is written.
 *     left: gets those that did not take everything, in any order; has room for `count`.
 *
 * Returns how many are in `left`, or a negative error, with which nothing was written.
 */
EXPORT int64_t relay_fan_out_write(struct fan_out *self, const int *descriptors, size_t count, const uint8_t *states,
                                   size_t states_count, const void *data, size_t bytes, struct left *left)
{
    size_t lefts = 0;
    uint32_t places[RING_ENTRIES];
    int32_t results[RING_ENTRIES];

    if (!self || count > UINT32_MAX || bytes > INT32_MAX || (bytes && !data) ||
        (count && (!descriptors || !left || (states_count && !states))))
        return -EINVAL;

    for (size_t next = 0; next < count && bytes;) {
        unsigned chosen = 0, written = 0;
        for (; next < count && chosen < RING_ENTRIES; next++) {
            int descriptor = descriptors[next];
            uint8_t state = descriptor >= 0 && (size_t)descriptor < states_count ? states[descriptor] : WITHHELD;
            if (state == OPEN)
                places[chosen++] = (uint32_t)next;
            else if (state != SKIPPED)
                left[lefts++] = (struct left){.place = (uint32_t)next, .result = 0};
        }
        if (self->ring >= 0 && chosen)
            written = write_batch(self, descriptors, places, chosen, data, bytes, results);
        for (; written < chosen; written++)
            results[written] = write_one(descriptors[places[written]], data, bytes);
        for (unsigned number = 0; number < chosen; number++)
            if (results[number] != (int32_t)bytes)
                left[lefts++] = (struct left){.place = places[number], .result = results[number]};
    }
    return (int64_t)lefts;
}

/* Return an array in place of another one; NULL: there is no memory for it. */
static void *renew(void *array, size_t count, size_t size)
{
    free(array);
    return calloc(count, size);
}

static int make_room(struct plan *plan, size_t parts, size_t descriptors)
{
    if (plan->descriptors < descriptors) {
        plan->descriptors = 0;
        plan->numbers = renew(plan->numbers, descriptors, sizeof *plan->numbers);
        if (!plan->numbers)
            return -ENOMEM;
        plan->descriptors = descriptors;
    }
    if (plan->room < parts) {
        size_t room = parts + parts / 2; /* more clients may come */
        plan->room = 0;
        plan->targets = renew(plan->targets, room, sizeof *plan->targets);
        plan->parts = renew(plan->parts, room, sizeof *plan->parts);
        plan->origins = renew(plan->origins, room, sizeof *plan->origins);
        if (!plan->targets || !plan->parts || !plan->origins)
            return -ENOMEM;
        plan->room = room;
    }
    return 0;
}

static int may_be_written(int descriptor, const uint8_t *states, size_t states_count)
{
    return descriptor >= 0 && (size_t)descriptor < states_count && states[descriptor] == OPEN;
}

/* Find out what each socket is to get, in the order of the deliveries; return how many sockets there are. */
static size_t make_plan(struct plan *plan, const struct delivery *deliveries, size_t count, const uint8_t *states,
                        size_t states_count, struct part_left *left, size_t *lefts)
{
    size_t targets = 0, parts = 0;

    for (size_t number = 0; number < count; number++) {
        const struct delivery *delivery = &deliveries[number];
        for (size_t place = 0; place < delivery->count && delivery->bytes; place++) {
            int descriptor = delivery->descriptors[place];
            if (may_be_written(descriptor, states, states_count)) {
                uint32_t *target = &plan->numbers[descriptor];
                if (!*target) {
                    plan->targets[targets] = (struct target){.descriptor = descriptor};
                    *target = (uint32_t)++targets;
                }
                plan->targets[*target - 1].count++;
            } else if (descriptor < 0 || (size_t)descriptor >= states_count || states[descriptor] != SKIPPED) {
                left[(*lefts)++] = (struct part_left){.delivery = (uint32_t)number, .place = (uint32_t)place};
            }
        }
    }
    for (size_t target = 0; target < targets; target++) {
        plan->targets[target].first = (uint32_t)parts;
        parts += plan->targets[target].count;
        plan->targets[target].count = 0;
    }
    for (size_t number = 0; number < count; number++) {
        const struct delivery *delivery = &deliveries[number];
        for (size_t place = 0; place < delivery->count && delivery->bytes; place++) {
            int descriptor = delivery->descriptors[place];
            if (!may_be_written(descriptor, states, states_count))
                continue;
            struct target *target = &plan->targets[plan->numbers[descriptor] - 1];
            uint32_t part = target->first + target->count++;
            plan->parts[part] = (struct iovec){.iov_base = (void *)delivery->data, .iov_len = delivery->bytes};
            plan->origins[part] = (struct origin){.delivery = (uint32_t)number, .place = (uint32_t)place};
            if (target->asked + 1 == target->count && target->asked < MOST_PARTS &&
                target->bytes + delivery->bytes <= INT32_MAX) {
                target->asked++;
                target->bytes += (uint32_t)delivery->bytes;
            }
        }
    }
    for (size_t target = 0; target < targets; target++)
        plan->numbers[plan->targets[target].descriptor] = 0;
    return targets;
}

/* Report the parts that a socket has not taken; return how many went out together with one before them. */
static uint32_t report(const struct plan *plan, const struct target *target, int32_t result, struct part_left *left,
                       size_t *lefts)
{
    uint32_t taken = result > 0 ? (uint32_t)result : 0, begun = 0;

    if (result >= 0 && taken == target->bytes && target->asked == target->count)
        return target->count - 1;
    for (uint32_t part = target->first; part < target->first + target->count; part++) {
        uint32_t bytes = (uint32_t)plan->parts[part].iov_len;
        begun += taken > 0;
        if (taken >= bytes) {
            taken -= bytes;
            continue;
        }
        left[(*lefts)++] = (struct part_left){
            .delivery = plan->origins[part].delivery,
            .place = plan->origins[part].place,
            .result = result < 0 && (part == target->first || result == -EIO) ? result : (int32_t)taken,
        };
        taken = 0;
    }
    return begun ? begun - 1 : 0;
}

/*
 * Write to each socket what the deliveries have for it, in their order and in one write, as far as it takes it at once.
 *
 * Args:
 *     deliveries, count: what is written; a socket may be in several of them, but in none twice.
 *     states, states_count: as for `relay_fan_out_write`.
 *     left: gets the deliveries to a socket that it did not take whole, in the order of the deliveries for each socket;
 *         has room for all sockets of all deliveries. Those behind one that was taken in part have the result 0.
 *     joined: gets how many went out in one write with another one before them.
 *
 * Returns how many are in `left`, or a negative error, with which nothing was written.
 */
EXPORT int64_t relay_fan_out_write_together(struct fan_out *self, const struct delivery *deliveries, size_t count,
                                            const uint8_t *states, size_t states_count, struct part_left *left,
                                            uint64_t *joined)
{
    size_t lefts = 0, parts = 0;
    int32_t results[RING_ENTRIES];

    if (!self || !joined || count > UINT32_MAX || (count && !deliveries) || (states_count && !states))
        return -EINVAL;
    *joined = 0;
    for (size_t number = 0; number < count; number++) {
        const struct delivery *delivery = &deliveries[number];
        if (delivery->count > UINT32_MAX - parts || delivery->bytes > INT32_MAX ||
            (delivery->bytes && !delivery->data) || (delivery->count && (!delivery->descriptors || !left)))
            return -EINVAL;
        parts += delivery->count;
    }
    if (!parts)
        return 0;
    int failed = make_room(&self->plan, parts, states_count);
    if (failed)
        return failed;

    size_t targets = make_plan(&self->plan, deliveries, count, states, states_count, left, &lefts);
    for (size_t next = 0; next < targets;) {
        const struct target *chosen = &self->plan.targets[next];
        unsigned wanted = targets - next < RING_ENTRIES ? (unsigned)(targets - next) : RING_ENTRIES, written = 0;
        if (self->ring >= 0)
            written = write_parts_batch(self, chosen, wanted, results);
        for (; written < wanted; written++)
            results[written] = write_parts(self, &chosen[written]);
        for (unsigned number = 0; number < wanted; number++)
            *joined += report(&self->plan, &chosen[number], results[number], left, &lefts);
        next += wanted;
    }
    return (int64_t)lefts;
}
