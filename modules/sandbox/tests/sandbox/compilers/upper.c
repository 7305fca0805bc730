#include <ctype.h>
#include <stdio.h>

int main(void) {
    int c, n = 0;
    while ((c = getchar()) != EOF) n += putchar(toupper(c)) != EOF;
    fprintf(stderr, "%d bytes, %.3f KiB\n", n, n / 1024.0);
    return 0;
}
