package com.amazonaws.services.lambda.runtime;

/** A function from one value to another, both mapped from and to JSON. */
public interface RequestHandler<I, O> {
    O handleRequest(I input, Context context);
}
