/* Counts the prime numbers below a number, and says at each percent how far it is. */

#include <stdio.h>

static int is_prime(long number) {
    if (number < 2) {
        return 0;
    }
    for (long divisor = 2; divisor * divisor <= number; divisor++) {
        if (number % divisor == 0) {
            return 0;
        }
    }
    return 1;
}

int main(void) {
    long below;
    int end = 0;
    /* The schema allows an integer as the only member. Not every spelling of it is read here, such as 1e3. */
    if (scanf(" { \"below\" : %9ld } %n", &below, &end) != 1 || end == 0 || getchar() != EOF) {
        fputs("the parameters must be {\"below\": NUMBER}\n", stderr);
        return 65; /* another attempt would fail, too */
    }
    long count = 0;
    int shown = 0;
    for (long number = 0; number < below; number++) {
        count += is_prime(number);
        int percent = (int)(number * 100 / below);
        if (percent > shown) {
            shown = percent;
            printf("{\"progress\": {\"percent\": %d, \"message\": \"%ld primes below %ld\"}}\n", percent, count, number + 1);
            /* Without this, what is printed to a pipe stays in this process until it ends. */
            fflush(stdout);
        }
    }
    printf("{\"result\": %ld}\n", count);
    return 0;
}
